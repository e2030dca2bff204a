# parts of shim/
