# parts of runtime/
