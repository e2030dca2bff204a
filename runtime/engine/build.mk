# parts of runtime/engine/
