# parts of cgroups/
