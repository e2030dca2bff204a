// SPDX-License-Identifier: MIT
#include "runtime/engine/control.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "runtime/cleanup.h"
#include "runtime/engine/device.h"
#include "runtime/engine/engine.h"
#include "runtime/engine/janitor.h"
#include "runtime/engine/log.h"
#include "runtime/engine/member.h"
#include "runtime/engine/nic.h"
#include "runtime/engine/port.h"
#include "runtime/engine/protocol.h"
#include "runtime/error.h"
#include "runtime/message.h"

#define LINGER_MS  250      /* without a VR: the next europa-run of a loop finds the switch still there */
#define NEWBORN_MS 10000    /* the same, before the first one: whoever started it has yet to come */

struct connection {
	struct connection *next, **link;
	int fd;
	struct member *member;      /* NULL: not registered yet */
};

struct server {
	struct control *control;
	struct engine *engine;
	struct connection *connections;
	int epoll;
	int reserve;                /* given up for as long as it takes to turn away whom there is no other descriptor for */
	int64_t idle_since_ms;
	bool had_vr, stop;
};

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

/* ---- registrations ---- */

static void destroy_port(void *port_)
{
	struct port *port = port_;

	port->ops->destroy(port);
}

/* Nobody knows it any more. */
static void bury(struct port *port)
{
	if (port->ops->settle)
		port->ops->settle(port);
	janitor_later(destroy_port, port);
}

static void destroy_member(void *member)
{
	member_close(member);
}

static struct member *find_member(const struct engine *engine, const char *name)
{
	struct member *m;

	for (m = engine->members; m && strcmp(m->name, name); m = m->next)
		;
	return m;
}

static void unlink_member(struct engine *engine, struct member *member)
{
	struct member **at = &engine->members;

	while (*at != member)
		at = &(*at)->next;
	*at = member->next;
	engine->generation++;
}

/*
 * The end of a registration. Under the lock everything is taken from where the poll thread looks; afterwards
 * nobody knows it, and what takes time can take it: devices now, because their names are to be free, the rest when
 * there is time for it. A switch that is told to end leaves the devices of living VRs to its successor.
 */
static void unregister(struct engine *engine, struct member *member, bool keep_devices)
{
	struct port *ports[EUROPA_MAX_VNICS];
	unsigned i, n = 0;

	engine_lock(engine);
	for (i = 0; i < EUROPA_MAX_VNICS; i++) {
		struct port *port = member_detach(engine, member, i);

		if (port)
			ports[n++] = port;
	}
	unlink_member(engine, member);
	vr_leave(&member->vr);
	engine_unlock(engine);

	if (!keep_devices)
		device_remove_all(engine->devices, member);
	for (i = 0; i < n; i++)
		bury(ports[i]);
	note("%s: gone", member->name);
	janitor_later(destroy_member, member);
}

static int serve_register(struct server *s, struct connection *c, const struct europa_register *reg, int *fds,
			  unsigned nfds, struct europa_reply *reply, struct error *e)
{
	struct member *m;
	int r;

	if (c->member)
		return refuse(e, "this connection has registered \"%s\" already", c->member->name);
	if (nfds != REGISTER_FDS)
		return refuse(e, "%u descriptors came; control, pool, doorbell, kick and a network namespace were expected",
			      nfds);
	if (find_member(s->engine, reg->name))
		return fail(e, EEXIST, "\"%s\" is registered already", reg->name);
	r = member_open(reg, fds, &m, e);
	if (r < 0)
		return r;
	reply->features = m->vr.header->features;
	c->member = m;
	engine_lock(s->engine);
	m->next = s->engine->members;
	s->engine->members = m;
	s->engine->generation++;
	engine_unlock(s->engine);
	s->had_vr = true;
	note("%s: %s, %u vNICs, %u slots, %u runs", m->name, m->adopted ? "adopted" : "registered", reg->geometry.nvnics,
	     reg->geometry.nslots, reg->geometry.nruns);
	return 0;
}

static port_open_fn *const open_port[] = {
	[EUROPA_PORT_DEVICE]    = port_device_open,
	[EUROPA_PORT_SHARED]    = port_shared_open,
	[EUROPA_PORT_VR]        = port_link_open,
	[EUROPA_PORT_GENERATOR] = port_generator_open,
	[EUROPA_PORT_NONE]      = port_null_open,
	[EUROPA_PORT_XDP]       = port_xdp_open,
};

static int serve_attach(struct server *s, struct member *m, const struct europa_attach *wanted, struct europa_reply *reply,
			struct error *e)
{
	struct europa_attach attach = *wanted;
	struct port *port;
	int r;

	if (attach.vnic >= m->vr.geo.nvnics)
		return refuse(e, "there is no vNIC %u; \"%s\" has %u", attach.vnic, m->name, m->vr.geo.nvnics);
	if (m->ports[attach.vnic])
		return fail(e, EEXIST, "vNIC %u is attached already", attach.vnic);
	if (!attach.mtu && attach.kind != EUROPA_PORT_DEVICE && attach.kind != EUROPA_PORT_SHARED)
		attach.mtu = 1500;
	if (!memcmp(attach.mac, (__u8[6]){ 0 }, sizeof attach.mac))
		device_choose_mac(m->name, attach.vnic, attach.mac);
	r = open_port[attach.kind](s->engine, m, &attach, &port, e);
	if (r < 0)
		return r;
	engine_lock(s->engine);
	member_attach(m, port, &attach);
	s->engine->generation++;
	engine_unlock(s->engine);
	attach.size = sizeof attach;
	reply->attach = attach;
	return 0;
}

static int serve_detach(struct server *s, struct member *m, const struct europa_detach *detach, struct error *e)
{
	struct port *port;

	if (detach->vnic >= m->vr.geo.nvnics || !m->ports[detach->vnic])
		return fail(e, ENOENT, "vNIC %u is not attached", detach->vnic);
	engine_lock(s->engine);
	port = member_detach(s->engine, m, detach->vnic);
	s->engine->generation++;
	engine_unlock(s->engine);
	if (port->ifindex)
		device_remove(s->engine->devices, port->ifindex);
	bury(port);
	return 0;
}

/* Between two rounds nothing is in flight: what was taken has left, what was put is published. */
static int serve_quiesce(struct server *s, struct member *m, const struct europa_quiesce *quiesce)
{
	engine_lock(s->engine);
	vr_quiesce(&m->vr, quiesce->on);
	vr_refresh_stats(&m->vr);
	engine_unlock(s->engine);
	return 0;
}

/* The doorbell is the poll thread's to ring, in its next round, and engine_lock() sees to it that there is one. */
static int serve_ask(struct server *s, struct member *m, const struct europa_ask *ask, struct europa_reply *reply)
{
	engine_lock(s->engine);
	reply->request = vr_ask(&m->vr, ask->what);
	m->ring = true;
	engine_unlock(s->engine);
	return 0;
}

static int serve_refresh(struct server *s, struct member *m)
{
	engine_lock(s->engine);
	vr_refresh_stats(&m->vr);
	engine_unlock(s->engine);
	return 0;
}

static int serve(struct server *s, struct connection *c, const struct europa_request *request, int *fds, unsigned nfds,
		 struct europa_reply *reply, struct error *e)
{
	if (request->verb == EUROPA_REGISTER)
		return serve_register(s, c, &request->reg, fds, nfds, reply, e);
	if (!c->member)
		return refuse(e, "nothing is registered on this connection");
	switch (request->verb) {
	case EUROPA_ATTACH:
		return serve_attach(s, c->member, &request->attach, reply, e);
	case EUROPA_DETACH:
		return serve_detach(s, c->member, &request->detach, e);
	case EUROPA_QUIESCE:
		return serve_quiesce(s, c->member, &request->quiesce);
	case EUROPA_ASK:
		return serve_ask(s, c->member, &request->ask, reply);
	default:
		return serve_refresh(s, c->member);
	}
}

/* ---- connections ---- */

static void close_connection(struct server *s, struct connection *c)
{
	if (c->member)
		unregister(s->engine, c->member, s->stop);
	*c->link = c->next;
	if (c->next)
		c->next->link = c->link;
	close(c->fd);
	free(c);
	s->idle_since_ms = now_ms();
}

/* What a client is told quotes what it sent: whatever that was, it becomes one printable line. */
static void copy_line(char *to, size_t size, const char *from)
{
	size_t i;

	for (i = 0; i + 1 < size && from[i]; i++)
		to[i] = (unsigned char)from[i] < ' ' || from[i] == 0x7f ? '?' : from[i];
	to[i] = '\0';
}

/* false: the connection is over. */
static bool answer(int fd, struct europa_reply *reply, int status, const struct error *e)
{
	reply->status = status;
	if (status < 0)
		copy_line(reply->text, sizeof reply->text, e->text);
	return send(fd, reply, sizeof *reply, MSG_DONTWAIT | MSG_NOSIGNAL) == sizeof *reply;
}

/* The client would take the error's usual text for its own limit. */
static int no_descriptors(struct error *e)
{
	struct rlimit limit = { 0 };

	getrlimit(RLIMIT_NOFILE, &limit);
	*e = (struct error){ 0 };
	return fail(e, EMFILE, "the switch has no descriptors left, its limit is %llu", (unsigned long long)limit.rlim_cur);
}

static bool serve_message(struct server *s, struct connection *c)
{
	unsigned char bytes[REQUEST_MAX];
	struct europa_request request;
	struct europa_reply reply = { 0 };
	struct error e = { 0 };
	int fds[MESSAGE_FDS], r;
	unsigned nfds = MESSAGE_FDS, i;
	ssize_t n;
	bool go_on;

	n = message_receive(c->fd, bytes, sizeof bytes, fds, &nfds, MSG_DONTWAIT | MSG_TRUNC);
	if (n < 0 && n != -EMFILE)
		return n == -EAGAIN;
	if (n == 0)
		return false;
	if (n < 0)
		r = n;
	else if (n > (ssize_t)sizeof bytes)
		r = fail(&e, E2BIG, "a request is longer than %d bytes", REQUEST_MAX);
	else
		r = request_parse(bytes, n, &request, &e);
	if (r == 0)
		r = serve(s, c, &request, fds, nfds, &reply, &e);
	if (r == -EMFILE)
		r = no_descriptors(&e);
	go_on = answer(c->fd, &reply, r, &e);
	for (i = 0; i < nfds; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
	}
	return go_on;
}

/*
 * Told why before it has asked. Nothing that it sends comes in any more, and what has come is read, so that its end finds this reply in
 * its queue and not an error.
 */
static void turn_away(int fd, int code)
{
	struct europa_reply reply = { 0 };
	struct error e = { 0 };
	char unread;

	if (code == EMFILE)
		no_descriptors(&e);
	else
		fail(&e, code, "the switch can't take another virtual router");
	note("a connection is turned away: %s", e.text);
	shutdown(fd, SHUT_RD);
	while (recv(fd, &unread, sizeof unread, MSG_DONTWAIT) > 0)
		;
	answer(fd, &reply, -code, &e);
	close(fd);
}

static void add_connection(struct server *s, int fd)
{
	struct connection *c = calloc(1, sizeof *c);
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = c };

	if (!c || epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &event) < 0) {
		turn_away(fd, errno);
		free(c);
		return;
	}
	c->fd = fd;
	c->next = s->connections;
	c->link = &s->connections;
	if (c->next)
		c->next->link = &c->next;
	s->connections = c;
}

/* Root's next connection, or -errno. */
static int accept_one(const struct server *s)
{
	for (;;) {
		int fd = accept4(s->control->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0)
			return -errno;
		if (message_peer_is_root(fd))
			return fd;
		note("a connection that isn't root's: refused");
		close(fd);
	}
}

static void hold_reserve(struct server *s)
{
	if (s->reserve < 0)
		s->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/*
 * The listener stays ready for as long as somebody waits, so nobody may: each is told. Where another thread was faster and has the reserve's
 * place now, or where it is memory that is missing, the next attempt is put off, for it might fail as well.
 */
static void turn_all_away(struct server *s, int code)
{
	const struct timespec moment = { .tv_nsec = 10000000 };
	int fd;

	close_fd(&s->reserve);
	while ((fd = accept_one(s)) >= 0)
		turn_away(fd, code);
	hold_reserve(s);
	if (fd != -EAGAIN)
		nanosleep(&moment, NULL);
}

static void accept_connections(struct server *s)
{
	int fd;

	hold_reserve(s);
	while ((fd = accept_one(s)) >= 0)
		add_connection(s, fd);
	/* The kernel looks for a descriptor before it looks whether anybody waits: often nobody does. */
	if (fd != -EAGAIN)
		turn_all_away(s, -fd);
}

/* ---- the socket ---- */

static int socket_address(const char *run_dir, struct sockaddr_un *address, struct error *e)
{
	memset(address, 0, sizeof *address);
	address->sun_family = AF_UNIX;
	if ((size_t)snprintf(address->sun_path, sizeof address->sun_path, "%s/%s", run_dir, EUROPA_SWITCH_SOCKET) >=
	    sizeof address->sun_path)
		return refuse(e, "\"%s\" is too long for a socket's directory; %zu bytes are the most", run_dir,
			      sizeof address->sun_path - sizeof EUROPA_SWITCH_SOCKET - 1);
	return 0;
}

int control_lock(const char *run_dir, bool wait, struct error *e)
{
	char path[4096];
	auto_close int fd = -1;

	snprintf(path, sizeof path, "%s/switch.lock", run_dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return fail(e, errno, "cannot open \"%s\"", path);
	if (flock(fd, wait ? LOCK_EX : LOCK_EX | LOCK_NB) < 0)
		return fail(e, errno, "cannot lock \"%s\"", path);
	return take_fd(&fd);
}

int control_listen(const char *run_dir, struct error *e)
{
	auto_close int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address;
	int r;

	if (fd < 0)
		return fail(e, errno, "cannot make a socket");
	r = socket_address(run_dir, &address, e);
	if (r < 0)
		return r;
	if (message_somebody_listens(&address))
		return fail(e, EADDRINUSE, "a switch serves \"%s\" already", run_dir);
	unlink(address.sun_path);
	if (bind(fd, (const struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 128) < 0)
		return fail(e, errno, "cannot listen on \"%s\"", address.sun_path);
	return take_fd(&fd);
}

/*
 * The name goes while the lock is held, so that nobody is started meanwhile; whoever is still in the listener's queue
 * sees the connection end, and tries again. false: somebody is just about to come.
 */
static bool take_leave(struct server *s)
{
	struct sockaddr_un address;
	struct error e = { 0 };
	auto_close int lock = control_lock(s->control->run_dir, false, &e);
	bool succeeded;

	/* Without the run directory nobody can come any more, nor lock anything. */
	if (lock < 0 && e.code == EWOULDBLOCK)
		return false;
	accept_connections(s);
	if (s->connections && !s->stop)
		return false;
	if (socket_address(s->control->run_dir, &address, &e) == 0)
		unlink(address.sun_path);
	close(take_fd(&s->control->listener));
	succeeded = s->engine->members != NULL;
	while (s->connections)
		close_connection(s, s->connections);
	devices_close(s->engine, succeeded ? NULL : s->control->run_dir);
	return true;
}

/* ---- the loop ---- */

/* Milliseconds until europad has been without a VR for long enough; -1: it has one, or is to be kept. */
static int leave_due(const struct server *s)
{
	int64_t left;

	if (s->stop)
		return 0;
	if (s->control->keep || s->connections)
		return -1;
	left = s->idle_since_ms + (s->had_vr ? LINGER_MS : NEWBORN_MS) - now_ms();
	return left > 0 ? (int)left : 0;
}

static int sooner(int a, int b)
{
	return a < 0 ? b : b < 0 || a < b ? a : b;
}

static void handle(struct server *s, const struct epoll_event *event)
{
	struct connection *c = event->data.ptr;

	if (c == (void *)s->control) {
		accept_connections(s);
	} else if (c == (void *)s->engine) {
		devices_dispatch(s->engine);
		nics_dispatch(s->engine);
	} else if (c == (void *)s) {
		s->stop = true;
	} else if (!serve_message(s, c)) {
		close_connection(s, c);
	}
}

/* Connections that have ended come first: a name is free when the next one asks for it. */
static void handle_all(struct server *s, const struct epoll_event *events, int n)
{
	int i;

	for (i = 0; i < n; i++) {
		if (events[i].events & EPOLLHUP)
			close_connection(s, events[i].data.ptr);
	}
	for (i = 0; i < n; i++) {
		if (!(events[i].events & EPOLLHUP))
			handle(s, &events[i]);
	}
}

static int watch(struct server *s, int fd, void *who, struct error *e)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = who };

	return epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? fail(e, errno, "epoll") : 0;
}

int engine_watch_links(struct engine *engine, int fd, struct error *e)
{
	struct epoll_event event = { .events = EPOLLIN };

	if (!engine->links)
		engine->links = epoll_create1(EPOLL_CLOEXEC);
	return epoll_ctl(engine->links, EPOLL_CTL_ADD, fd, &event) < 0 ? fail(e, errno, "epoll") : 0;
}

int control_run(struct control *control, struct engine *engine, struct error *e)
{
	struct server s = { .control = control, .engine = engine, .reserve = -1, .idle_since_ms = now_ms() };
	const struct timespec moment = { .tv_nsec = 1000000 };
	struct epoll_event events[64];
	auto_close int epoll = epoll_create1(EPOLL_CLOEXEC);

	s.epoll = epoll;
	if (epoll < 0)
		return fail(e, errno, "epoll");
	if (watch(&s, control->listener, control, e) < 0 || watch(&s, engine->links, engine, e) < 0 ||
	    watch(&s, control->signals, &s, e) < 0)
		return -e->code;
	for (;;) {
		int wait = sooner(leave_due(&s), devices_leftovers_due(engine->devices));
		int n = epoll_wait(epoll, events, 64, wait);

		if (n > 0)
			handle_all(&s, events, n);
		devices_sweep(engine->devices);
		if (leave_due(&s) != 0)
			continue;
		if (take_leave(&s)) {
			close_fd(&s.reserve);
			return 0;
		}
		nanosleep(&moment, NULL);       /* somebody has the lock, and is about to connect */
	}
}
