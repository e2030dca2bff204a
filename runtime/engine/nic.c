#include <errno.h>
#include "runtime/error.h"
#include "runtime/engine/port.h"
int port_shared_open(struct engine *engine, struct member *member, struct europa_attach *attach, struct port **port, struct error *e)
{ return refuse(e, "not yet"); }
