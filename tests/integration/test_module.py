# SPDX-License-Identifier: MIT
"""
The kernel module by itself: what /dev/europa takes and refuses, and that it gives everything back, whoever dies and in which order.
Runs where the suite runs on the module; everything that both switches have is in the other files.
"""
import concurrent.futures
import contextlib
import ctypes
import errno
import fcntl
import mmap
import os
import random
import select
import signal
import socket
import stat
import struct
import subprocess
import termios
from pathlib import Path

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Dot1Q, Ether

from conftest import command, process_name, process_state, processes, replace_module, wait_for
from test_switch import A, B, SUPER_TCP, Driver, close, frame, geometry, memfd, region_fds, same, switch        # noqa: F401 (a fixture)
from test_tcp import MEGABYTES, stream

REGISTER, ATTACH, DETACH, QUIESCE, REFRESH, ASK, WHY = 1, 2, 3, 4, 5, 6, 0x10
SIZES = {REGISTER: 136, ATTACH: 632, DETACH: 8, QUIESCE: 8, ASK: 16, WHY: 256}


def number(verb, size=None, kind=3):
    return kind << 30 | (size if size is not None else SIZES.get(verb, 0)) << 16 | 0xe9 << 8 | verb


class Device:
    """An open /dev/europa."""

    def __init__(self):
        self.fd = os.open("/dev/europa", os.O_RDWR | os.O_CLOEXEC)

    def call(self, verb, argument=b""):
        """(0, what came back) or (errno, why)."""
        try:
            return 0, fcntl.ioctl(self.fd, number(verb), bytes(argument))
        except OSError as error:
            why = fcntl.ioctl(self.fd, number(WHY), bytes(256)).split(b"\0")[0].decode()
            return error.errno, why

    def register(self, fds, name=b"x", pid=0, flags=0, size=136, **changes):
        body = struct.pack("<II", changes.get("inner", 104), flags) + changes.get("geometry", geometry()) + name.ljust(64, b"\0")
        return self.call(REGISTER, struct.pack("<II5ii", size, 0, *fds, pid) + body)

    def close(self):
        os.close(self.fd)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def references():
    return int(Path("/sys/module/europa/refcnt").read_text())


def mappings():
    """What the module has mapped of regions."""
    return sum("region_pin" in line for line in Path("/proc/vmallocinfo").read_text().splitlines())


@pytest.fixture(autouse=True)
def nothing_stays():
    before = references(), mappings()
    yield
    wait_for(lambda: (references(), mappings()) == before, f"references and mappings to be {before} again")


class SlowMemory:
    """A page that whoever touches it waits for, until it is given."""
    API, REGISTER, COPY = 0xc018aa3f, 0xc020aa00, 0xc028aa03

    def __init__(self):
        libc = ctypes.CDLL(None, use_errno=True)
        self.fd = libc.syscall(323, os.O_CLOEXEC | os.O_NONBLOCK)        # else there is nothing to wait for in select
        if self.fd < 0:
            pytest.skip("the kernel has no userfaultfd")
        self.page = mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self.page))
        fcntl.ioctl(self.fd, self.API, struct.pack("<3Q", 0xaa, 0, 0))
        fcntl.ioctl(self.fd, self.REGISTER, struct.pack("<4Q", self.address, 4096, 1, 0))

    def wait(self):
        """Until somebody has touched it."""
        assert select.select([self.fd], [], [], 60)[0]

    def give(self, content=b""):
        source = ctypes.create_string_buffer(content.ljust(4096, b"\0"), 4096)
        fcntl.ioctl(self.fd, self.COPY, struct.pack("<4Qq", self.address, ctypes.addressof(source), 4096, 0, 0))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.fd)       # whoever still waits has a page of zeros


@contextlib.contextmanager
def meanwhile(function, *arguments):
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        yield pool.submit(function, *arguments)


# ---- what is refused ----

def test_descriptors_are_checked():
    good = region_fds()
    for change, says in [
        (lambda f: f[::-1], "is not a network namespace"),
        (lambda f: [f[2]] + f[1:], "control is not a memfd"),
        (lambda f: [-1] + f[1:], "control: descriptor -1 is not open"),
        (lambda f: [os.open("/dev/null", os.O_RDWR)] + f[1:], "control is not a memfd"),
        (lambda f: [os.open("/dev/zero", os.O_RDWR)] + f[1:], "control is not a memfd"),
        (lambda f: [memfd(8192)] + f[1:], "control has 8192 bytes"),
        (lambda f: [f[0], memfd(4096)] + f[2:], "pool has 4096 bytes"),
        (lambda f: region_fds(seals=0)[:2] + f[2:], "seals"),
        (lambda f: region_fds(seals=3)[:2] + f[2:], "seals"),
        (lambda f: region_fds(seals=15)[:2] + f[2:], "seals"),
        (lambda f: [os.open(f"/proc/self/fd/{f[0]}", os.O_RDONLY)] + f[1:], "not open for reading and writing"),
        (lambda f: f[:2] + [f[3], f[2], f[4]], "writing end"),
        (lambda f: f[:3] + [f[2], f[4]], "reading end"),
        (lambda f: f[:3] + [os.open("/dev/null", os.O_RDONLY), f[4]], "reading end"),
        (lambda f: f[:4] + [os.open("/proc/self/ns/mnt", os.O_RDONLY)], "not a network namespace"),
        (lambda f: f[:4] + [f[0]], "not a network namespace"),
    ]:
        with Device() as device:
            error, why = device.register(change(good))
            assert error and says in why, (says, error, why)
    with Device() as device, Device() as other:
        assert device.register(good)[0] == 0
        error, why = device.register(good, name=b"y")
        assert error == errno.EINVAL and "already" in why
        assert other.register(region_fds())[0] == errno.EEXIST
        for flags in (0, 1):
            error, why = other.register(good, name=b"y", flags=flags)
            assert error == errno.EBUSY and 'as "x"' in why, "one region, one switch, once"
    with Device() as other:
        error, why = other.register(good, name=b"y")
        assert error and "adopted" in why
        assert other.register(good, name=b"y", flags=1)[0] == 0
    close(good)


@pytest.mark.parametrize("changes, says", [
    (dict(name=b""), "no name"), (dict(name=b"../x"), "no name"), (dict(name=b"a\nb"), "no name"), (dict(name=b"x" * 64), "no name"),
    (dict(flags=2), "flags"), (dict(flags=1), "adopt"), (dict(pid=1), "no child"), (dict(pid=-5), "no child"), (dict(size=3), "bytes"),
    (dict(size=1 << 31), "bytes"), (dict(geometry=geometry(nslots=1)), "slots"),
    (dict(geometry=struct.pack("<8I", *[0xffffffff] * 8)), "vNICs"),
])
def test_a_registration_that_cannot_be(changes, says):
    fds = region_fds()
    with Device() as device:
        error, why = device.register(fds, **changes)
        assert error and says in why, (error, why)
    close(fds)


def test_it_is_root_s_alone():
    assert stat.S_IMODE(os.stat("/dev/europa").st_mode) == 0o600
    fds = region_fds()
    with Device() as device:
        child = os.fork()
        if child == 0:
            # The descriptor was handed on; whoever has it now has no right to use it.
            try:
                os.setgroups([])
                os.setuid(65534)
                os._exit(device.register(fds)[0])
            finally:
                os._exit(255)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == errno.EPERM
    close(fds)


def test_nobody_but_the_module_makes_its_devices():
    assert command("ip", "link", "add", "nonsense", "type", "europa", check=False).returncode != 0


def test_verbs_need_a_registration():
    with Device() as device:
        for verb in (ATTACH, DETACH, QUIESCE, REFRESH, ASK):
            error, why = device.call(verb, bytes(SIZES.get(verb, 8)))
            assert error == errno.EINVAL and "nothing is registered" in why


def test_who_cannot_take_the_answer_was_refused(switch):
    """An argument in memory that can be read and not written: the verb is undone, and can be had again."""
    libc = ctypes.CDLL(None, use_errno=True)
    page = mmap.mmap(-1, 4096)

    def call(device, verb, argument):
        page.seek(0)
        page.write(argument)
        address = ctypes.c_void_p(ctypes.addressof(ctypes.c_char.from_buffer(page)))
        assert libc.mprotect(address, 4096, mmap.PROT_READ) == 0
        r = libc.ioctl(device.fd, ctypes.c_ulong(number(verb)), address)
        error = ctypes.get_errno()
        assert libc.mprotect(address, 4096, mmap.PROT_READ | mmap.PROT_WRITE) == 0
        return error if r < 0 else 0

    attach = struct.pack("<III", 632, 0, 4).ljust(632, b"\0")
    one = struct.pack("<8I", 1, 64, 0, 32, 2112, 16, 64, 0)
    body = struct.pack("<II", 104, 0) + one + b"x".ljust(64, b"\0")
    fds, more = region_fds(), region_fds()
    with Device() as device:
        assert call(device, REGISTER, struct.pack("<II5ii", 136, 0, *fds, 0) + body) == errno.EFAULT
        assert device.register(more, geometry=one)[0] == 0
        assert call(device, ATTACH, attach) == errno.EFAULT
        assert device.call(ATTACH, attach)[0] == 0
    close(fds + more)


def test_garbage_is_refused_and_harms_nobody(switch):
    vr, left, right = switch.between()
    rnd = random.Random(7)
    fds = region_fds()
    with Device() as device:
        assert device.register(fds, geometry=geometry())[0] == 0
        for turn in range(3000):
            verb = rnd.choice([rnd.randrange(256), ATTACH, DETACH, QUIESCE, ASK, REGISTER])
            size = rnd.choice([SIZES.get(verb, 8), rnd.randrange(4096)])
            argument = bytearray(rnd.randbytes(size))
            if size >= 8 and rnd.random() < 0.8:
                struct.pack_into("<II", argument, 0, rnd.choice([size, SIZES.get(verb, 8)]), rnd.randrange(4))
            # Large enough, whatever `size` says: what is read beyond is zero.
            argument += bytes(4096 - len(argument) % 4096)
            try:
                fcntl.ioctl(device.fd, number(verb, size & 0x3fff) if rnd.random() < 0.9 else rnd.getrandbits(31), argument)
            except OSError:
                pass
    left.send(frame())
    right.expect(same(frame()))
    close(fds)


# ---- life and death ----

def test_the_module_stays_while_a_vr_is_registered(switch):
    switch.vr("echo", "device")
    assert command("rmmod", "europa", check=False).returncode != 0


def test_a_killed_supervisor_leaves_nothing(switch):
    vr = switch.vr("forward", "device", "generator=size=64")
    device = vr.device(0)
    before = references()
    vr.child.kill()
    wait_for(lambda: references() == before - 1, "the registration to end")
    assert device not in switch.home.devices()


def test_the_end_of_a_namespace_takes_the_device_and_the_vnic_goes_down(switch):
    vr, left, right = switch.between()
    left.close()
    switch.wires.remove(left)
    switch.a.remove()
    switch.hosts.remove(switch.a)
    wait_for(lambda: not vr.up(0), "the vNIC to go down")
    right.send(frame())
    wait_for(lambda: vr.stats(0).get("tx_down") == 1, "the frame to be counted")
    wait_for(vr.all_slots, "all slots back")


def test_devices_that_come_and_go_under_load(switch):
    """Detached, deleted, taken down and up while the VR sends as fast as it can."""
    vr = switch.vr("forward", "generator=size=64", "device")
    for turn in range(10):
        device = vr.device(1)
        switch.home.ip("link", "set", device, "up")
        sent = vr.stats(1)["tx_packets"]
        wait_for(lambda: vr.stats(1)["tx_packets"] > sent, "frames")
        if turn % 3 == 0:
            switch.home.ip("link", "del", device)
        elif turn % 3 == 1:
            switch.home.ip("link", "set", device, "down")
        assert vr.ask("detach 1") == "ok"
        assert vr.ask("attach 1 device") == "ok"
    assert vr.ask("detach 0") == "ok"
    wait_for(vr.all_slots, "all slots back")


def test_links_whose_ends_die_under_load(switch):
    names = [f"{switch.stem}{n}" for n in range(2)]
    one = switch.vr("forward", "generator=size=64", f"vr={names[1]}:0", name=names[0])
    for _ in range(5):
        two = switch.vr("drop", f"vr={names[0]}:1", name=names[1])
        wait_for(lambda: two.stats(0)["rx_packets"] > 1000, "frames over the link")
        two.child.kill()
        two.child.wait()
        wait_for(lambda: not one.up(1), "the link to go down")
    assert one.ask("detach 0") == "ok"
    wait_for(one.all_slots, "all slots back")


def test_many_registrations_come_and_go():
    free = lambda: int(next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemAvailable")).split()[1])
    devices = []
    for n in range(150):
        fds = region_fds()
        devices.append(Device())
        assert devices[-1].register(fds, name=b"many%d" % n) [0] == 0
        close(fds)
    assert references() >= 150
    for device in devices:
        device.close()
    before = free()
    for n in range(300):
        fds = region_fds()
        with Device() as device:
            assert device.register(fds)[0] == 0
        close(fds)
    assert free() > before - 20000, "kilobytes are missing"


def test_a_pool_full_of_holes_is_the_vrs_own_misfortune(switch):
    """Punching holes is not resizing, and seals don't forbid it: the switch goes on with the pages that it holds."""
    vr = switch.vr("forward", "generator=size=64", "generator=count=0")
    pool = next(fd for fd in Path(f"/proc/{vr.child.pid}/fd").iterdir() if os.readlink(fd).startswith("/memfd:") and "pool" in os.readlink(fd))
    with open(pool, "r+b") as file:
        command("fallocate", "--punch-hole", "--offset", 0, "--length", os.fstat(file.fileno()).st_size, f"/proc/self/fd/{file.fileno()}",
                pass_fds=[file.fileno()])
    assert vr.census()["slots"] == 2048
    vr.quit()


def test_pipes_that_are_tampered_with_do_not_stop_the_switch(switch):
    """Blocking, full, closed: the worker has descriptions of its own."""
    fds = region_fds()
    doorbell, kick = os.pipe(), os.pipe()
    os.set_blocking(doorbell[1], False)
    try:
        while True:
            os.write(doorbell[1], bytes(4096))
    except BlockingIOError:
        pass
    os.set_blocking(doorbell[1], True)
    with Device() as device:
        assert device.register([fds[0], fds[1], doorbell[1], kick[0], fds[4]])[0] == 0
        for _ in range(1000):
            os.write(kick[1], b"!")
        close([doorbell[0], kick[1]])
        assert device.call(QUIESCE, struct.pack("<II", 8, 1))[0] == 0
        assert device.call(QUIESCE, struct.pack("<II", 8, 0))[0] == 0
    close(fds + [doorbell[1], kick[0]])


def test_the_worker_is_charged_to_the_vr(europa):
    vr = europa.start("nullfwd", "--vnics", 2, "--cpu", "50%", "--link", "0=generator:size=64", "--link", "1=generator:size=64")
    workers = [pid for group in vr.cgroups() for pid in map(int, Path(group, "cgroup.procs").read_text().split())
               if Path(f"/proc/{pid}/comm").read_text().startswith("europa/")]
    assert len(workers) == 1
    group = Path(vr.cgroups()[0])
    wait_for(lambda: int((group / "cpu.stat").read_text().split("nr_throttled ")[1].split()[0]) > 0, "the quota to bite")


def test_the_worker_is_as_urgent_as_its_vr():
    child = subprocess.Popen(["nice", "-n", "5", "sleep", "600"])
    fds = region_fds()
    try:
        wait_for(lambda: os.getpriority(os.PRIO_PROCESS, child.pid) == 5, "the VR to be nice")
        with Device() as device:
            assert device.register(fds, name=b"polite", pid=child.pid)[0] == 0
            assert os.getpriority(os.PRIO_PROCESS, worker("polite")) == 5
    finally:
        child.kill()
        child.wait()
        close(fds)


def test_a_quiesced_vr_can_be_frozen():
    """A control group with a thread of the kernel in it never counts as frozen: the worker goes, and comes back."""
    if not Path("/sys/fs/cgroup/cgroup.controllers").exists():
        pytest.skip("needs cgroup v2")
    group = Path("/sys/fs/cgroup/europa-frozen")
    group.mkdir()
    child = subprocess.Popen(["sleep", "600"])
    fds = region_fds()
    try:
        (group / "cgroup.procs").write_text(str(child.pid))
        with Device() as device:
            assert device.register(fds, pid=child.pid)[0] == 0
            members = lambda: len((group / "cgroup.procs").read_text().split())
            frozen = lambda yes: f"frozen {yes}" in (group / "cgroup.events").read_text()
            assert members() == 2
            for _ in range(3):
                assert device.call(QUIESCE, struct.pack("<II", 8, 1))[0] == 0
                (group / "cgroup.freeze").write_text("1")
                wait_for(lambda: frozen(1), "the group to be frozen")
                assert members() == 1
                (group / "cgroup.freeze").write_text("0")
                wait_for(lambda: frozen(0), "it to be thawed")
                assert device.call(QUIESCE, struct.pack("<II", 8, 0))[0] == 0
                assert members() == 2
            # Who is gone has no group to come back to.
            child.kill()
            child.wait()
            assert device.call(QUIESCE, struct.pack("<II", 8, 1))[0] == 0
            assert device.call(QUIESCE, struct.pack("<II", 8, 0))[0] == 0
    finally:
        child.kill()
        child.wait()
        close(fds)
        wait_for(lambda: not (group / "cgroup.procs").read_text(), "the group to be empty")
        group.rmdir()


def test_a_supervisor_killed_while_it_quiesces_leaves_the_worker_where_it_is():
    """It waits for the worker's round, and the worker for a pipe that the VR is reading."""
    if not Path("/sys/fs/cgroup/cgroup.controllers").exists():
        pytest.skip("needs cgroup v2")
    group = Path("/sys/fs/cgroup/europa-killed")
    group.mkdir()
    child = subprocess.Popen(["sleep", "600"])
    fds, doorbell = region_fds(), os.pipe()
    libc = ctypes.CDLL(None)
    try:
        (group / "cgroup.procs").write_text(str(child.pid))
        with Device() as device, SlowMemory() as slow:
            assert device.register([*fds[:2], doorbell[1], *fds[3:]], name=b"killed", pid=child.pid)[0] == 0
            pid = worker("killed")
            os.write(doorbell[1], b"!")
            with meanwhile(libc.read, doorbell[0], ctypes.c_void_p(slow.address), 1):
                try:
                    slow.wait()
                    assert device.call(ASK, struct.pack("<IIII", 16, 1, 0, 0))[0] == 0
                    wait_for(lambda: process_state(pid) == "D", "the worker to wait for the pipe")
                    quiescing = os.fork()
                    if quiescing == 0:
                        try:
                            device.call(QUIESCE, struct.pack("<II", 8, 1))
                        finally:
                            os._exit(1)
                    wait_for(lambda: process_state(quiescing) == "D", "the round to be waited for")
                    os.kill(quiescing, signal.SIGKILL)
                    assert os.waitpid(quiescing, 0)[1] == signal.SIGKILL
                    assert str(pid) in (group / "cgroup.procs").read_text().split()
                finally:
                    slow.give()
    finally:
        child.kill()
        child.wait()
        close(fds + list(doorbell))
        wait_for(lambda: not (group / "cgroup.procs").read_text(), "the group to be empty")
        group.rmdir()


def test_counters_are_ethtool_s_too(switch):
    vr, left, right = switch.between()
    left.send(frame())
    right.expect(same(frame()))
    said = switch.a.run("ethtool", "-S", vr.device(0)).stdout
    assert f"vr_rx_packets: {vr.stats(0)['rx_packets']}" in said and "drop_bad_index: 0" in said
    assert "driver: europa" in switch.a.run("ethtool", "-i", vr.device(0)).stdout


def worker(name):
    """Its process number."""
    return next(pid for pid in processes() if process_name(pid) == f"europa/{name}")


def counters(host, device):
    lines = [line.rpartition(": ") for line in host.run("ethtool", "-S", device).stdout.splitlines()[1:]]
    return {name.strip(): int(value) for name, _, value in lines}


@contextlib.contextmanager
def busy(cpu):
    """Somebody wants this CPU all the time."""
    child = subprocess.Popen(["taskset", "-c", str(cpu), "sh", "-c", "echo; while :; do :; done"], stdout=subprocess.PIPE)
    try:
        child.stdout.readline()
        yield
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


def test_kicks_without_work_buy_no_spinning(switch):
    """The worker spins after work; who only wakes it up has it look, and sleep again."""
    name, (unread, kick) = switch.stem + "0", os.pipe()
    with switch.home.entered():
        fds = region_fds()
    with Device() as device:
        one = struct.pack("<8I", 1, 64, 0, 32, 2112, 16, 64, 0)
        assert device.register([*fds[:3], unread, fds[4]], name=name.encode(), geometry=one)[0] == 0
        assert device.call(ATTACH, struct.pack("<III", 632, 0, 0).ljust(632, b"\0"))[0] == 0
        pid = worker(name)
        spins = lambda: counters(switch.home, name + "-v0")["worker_spins"]
        heard = lambda: fcntl.ioctl(unread, termios.FIONREAD, bytes(4)) == bytes(4) and process_state(pid) == "I"
        wait_for(heard, "the worker to sleep")
        before = spins()
        for _ in range(100):
            os.write(kick, b"!")
            wait_for(heard, "the kick to be read, and the worker to sleep")
        assert spins() == before
    close(fds + [unread, kick])


@pytest.mark.skipif(os.cpu_count() < 2, reason="needs a CPU that nobody else wants")
def test_the_worker_spins_after_work_where_nobody_else_wants_its_cpu(switch):
    vr, left, right = switch.between()
    os.sched_setaffinity(worker(vr.name), {1})
    spins = lambda: counters(switch.a, vr.device(0))["worker_spins"]

    def forward(count):
        for n in range(count):
            left.send(frame())
            right.expect(same(frame()))

    def has_spun():
        forward(1)
        return spins() > 0

    wait_for(has_spun, "the worker to spin")
    with busy(1):
        before = spins()
        forward(50)
        assert spins() == before


def test_pages_are_filled_again_when_nobody_has_them(switch):
    """Each super-packet of these wants two of the worker's 64 pages."""
    vr, left, right = switch.between(offloads=True)
    device = vr.device(0)
    packets = [bytes(Ether(src=A, dst=B) / IP(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=1, dport=2)) + bytes([n]) * 40000 for n in range(100)]
    pages = lambda: [counters(switch.a, device)["worker_pages_" + which] for which in ("new", "again")]

    for packet in packets:
        left.send(SUPER_TCP + packet)
        assert next(right.frames())[10:] == packet
    assert pages() == [64, 136]

    # Now they wait in the receiver's buffer, and what is in them stays.
    for n, packet in enumerate(packets):
        left.send(SUPER_TCP + packet)
        wait_for(lambda: vr.stats(1)["tx_packets"] == 100 + n + 1, "the packet")
    assert [next(right.frames())[10:] for _ in packets] == packets
    assert pages() == [64 + 136, 136 + 64]


def test_the_mtu_is_the_cables(switch):
    vr, left, right = switch.between()
    switch.a.ip("link", "set", vr.device(0), "mtu", 900)
    assert vr.stats(0)["mtu"] == 900
    right.send(frame(size=1200))
    wait_for(lambda: vr.stats(0).get("tx_too_long") == 1, "the frame to be counted")


def shared_nic(switch, mode="drop", rule=""):
    """A device `nic` in home, a wire at its other end, and a VR that has it by its MAC address, or by a rule."""
    switch.home.ip("link", "add", "nic", "type", "veth", "peer", "name", "wire", "netns", switch.a.name)
    switch.home.ip("link", "set", "nic", "up")
    switch.a.ip("link", "set", "wire", "up")
    vr = switch.vr(mode, f"shared=nic{rule and ',' + rule}")
    wait_for(lambda: vr.up(0), "carrier")
    return vr, switch.wire(switch.a, "wire")


@pytest.fixture
def one_cpu():
    """For this process, and for workers that are told so."""
    cpus = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {0})
    yield {0}
    os.sched_setaffinity(0, cpus)


def parameter(name):
    return int(Path("/sys/module/europa/parameters", name).read_text())


def test_an_sk_buff_goes_out_with_another_frame_and_nothing_of_its_own(switch, one_cpu):
    """Frames of all kinds in turns, so that most sk_buffs are used again by one of another kind."""
    vr, wire = shared_nic(switch, "echo", "ethertype 0x88b5")
    os.sched_setaffinity(worker(vr.name), one_cpu)
    kinds = [bytes(headers / bytes([n] * length)) for n, (headers, length) in enumerate([
        (Ether(src=A, dst=B) / Dot1Q(vlan=7, prio=5, type=0x88b5), 1200), (Ether(src=A, dst=B, type=0x88b5), 46),
        (Ether(src=A, dst=B, type=0x88b5), 1486), (Ether(src=A, dst=B) / Dot1Q(vlan=9, type=0x88b5), 46)], 1)]
    before = parameter("reused")
    for frames in [kinds] * 50 + [kinds[::-1]] * 50:
        for out in frames:
            wire.send(out)
        assert sorted(bytes(wire.expect(lambda f: f.src == A, "what was sent")) for _ in frames) == sorted(frames)
    assert parameter("reused") - before >= 200, "half of them"


def test_no_more_than_two_batches_of_sk_buffs_are_kept(switch, one_cpu):
    vr, wire = shared_nic(switch, rule="ethertype 0x88b5")
    os.sched_setaffinity(worker(vr.name), one_cpu)
    for _ in range(300):
        wire.send(Ether(src=A, dst=B, type=0x88b5) / bytes(50))
    wait_for(lambda: vr.stats(0)["rx_packets"] >= 300, "all frames")
    assert 128 <= parameter("kept") <= 128 * os.cpu_count()
    vr.quit()
    wait_for(lambda: parameter("kept") == 0, "them to be gone with the last VR")


def test_without_runs_a_shared_nics_super_packets_are_segmented(europa, a, b):
    """An own device says that it takes none; to a NIC they come all the same, from its other end or from GRO."""
    europa.share_nic(a)
    a.ip("address", "add", "10.0.0.2/24", "dev", "wire")
    a.ip("route", "add", "default", "via", "10.0.0.1")
    vr = europa.start("ipfwd", "--vnics", 2, "--runs", 0, "--link", "0=nic")
    vr.join(1, b, "10.0.1.2/24", "10.0.1.1")
    stream(a, b, "10.0.1.2", 4 * MEGABYTES)
    vnic = vr.stat()["vnics"][0]
    assert vnic["drops"]["rx_too_long"] == 0 and vnic["rx_bytes"] / vnic["rx_packets"] < 1515


def full_vnic(switch):
    """A VR that never looks, with a few slots, all of them taken; its vNIC is on `nic`, and in switch.a its neighbour, 10.0.0.2."""
    switch.home.ip("link", "add", "nic", "type", "veth", "peer", "name", "wire", "netns", switch.a.name)
    switch.home.ip("link", "set", "nic", "up")
    switch.a.ip("address", "add", "10.0.0.1/24", "dev", "wire")
    switch.a.ip("link", "set", "wire", "up")
    vr = switch.vr("none", "shared=nic", slots=64)
    wait_for(lambda: vr.up(0), "carrier")
    mac = vr.stats(0)["mac"]
    switch.a.ip("neighbour", "add", "10.0.0.2", "lladdr", mac, "dev", "wire")
    wire = switch.wire(switch.a, "wire")
    for _ in range(100):
        wire.send(frame(dst=mac))
    wait_for(lambda: vr.stats(0)["rx_packets"] + vr.stats(0)["rx_no_slot"] == 100, "all slots to be taken")
    return vr, wire, mac


def test_a_super_packet_without_room_is_dropped_as_one(switch):
    """Those of UDP are segmented for a VR, and not for one that has no room for a segment."""
    vr, _, _ = full_vnic(switch)
    before = vr.stats(0)["rx_no_slot"]
    with switch.a.entered():
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.setsockopt(socket.IPPROTO_UDP, 103, 100)                # UDP_SEGMENT
    for _ in range(10):
        udp.sendto(bytes(40 * 100), ("10.0.0.2", 9))
    wait_for(lambda: vr.stats(0)["rx_no_slot"] >= before + 10, "the drops")
    assert vr.stats(0)["rx_no_slot"] == before + 10
    udp.close()


@contextlib.contextmanager
def freed_as_drops(ethertype):
    """What the kernel's tracepoint says of packets of that type that were dropped, as a function."""
    tracing = Path("/sys/kernel/tracing")
    if not (tracing / "events").exists():
        command("mount", "-t", "tracefs", "tracefs", tracing)
    instance = tracing / "instances" / "europa-test"
    instance.mkdir()
    event = instance / "events" / "skb" / "kfree_skb"
    try:
        (event / "filter").write_text(f"protocol == {ethertype}")
        (event / "enable").write_text("1")
        yield lambda: [line for line in (instance / "trace").read_text().splitlines() if "kfree_skb:" in line]
        (event / "enable").write_text("0")
    finally:
        instance.rmdir()


def test_who_looks_for_drops_sees_those_of_a_shared_nic(switch):
    vr, wire, mac = full_vnic(switch)
    before = vr.stats(0)["rx_no_slot"]
    with freed_as_drops(0x88b5) as drops:
        for _ in range(10):
            wire.send(Ether(src=A, dst=mac, type=0x88b5) / bytes(50))
        wait_for(lambda: vr.stats(0)["rx_no_slot"] == before + 10, "the drops")
        assert len(drops()) == 10, drops()


def test_an_sk_buff_that_is_too_small_is_in_nobodys_way(switch, one_cpu):
    """As many as are kept come in with short frames; then there are long ones only."""
    vr, wire = shared_nic(switch, "echo", "ethertype 0x88b5")
    drain, short = switch.vr("drop", "shared=nic,ethertype 0x88b6"), Ether(src=A, dst=B, type=0x88b6) / bytes(50)
    os.sched_setaffinity(worker(vr.name), one_cpu)
    wait_for(lambda: drain.up(0), "carrier")
    for _ in range(300):
        wire.send(short)
    wait_for(lambda: drain.stats(0)["rx_packets"] >= 300, "the short ones")
    before = parameter("reused")
    for n in range(100):
        long = Ether(src=A, dst=B, type=0x88b5) / bytes([n] * 1486)
        wire.send(long)
        wire.expect(same(long))
    assert parameter("reused") - before >= 50


def test_no_sk_buff_in_a_fragment_of_a_page_is_kept(switch, one_cpu):
    """A tap device makes its sk_buffs of such for whoever doesn't wait."""
    with switch.home.entered(), open("/dev/net/tun", "r+b", buffering=0, opener=lambda path, flags: os.open(path, flags | os.O_NONBLOCK)) as tap:
        fcntl.ioctl(tap, 0x400454ca, struct.pack("16sH22x", b"nic", 0x1002))        # TUNSETIFF: TAP, NO_PI
        switch.home.ip("link", "set", "nic", "up")
        vr = switch.vr("drop", "shared=nic,ethertype 0x88b5")
        wait_for(lambda: vr.up(0), "carrier")
        before = parameter("kept")
        for _ in range(10):
            tap.write(bytes(Ether(src=A, dst=B, type=0x88b5) / bytes(50)))
        wait_for(lambda: vr.stats(0)["rx_packets"] == 10, "the frames")
        assert parameter("kept") == before


def test_the_hosts_own_multicast_is_no_frame_from_the_wire(switch):
    """It is looped back through the device without an Ethernet header."""
    vr, wire = shared_nic(switch)
    switch.home.ip("address", "add", "192.0.2.9/24", "dev", "nic")
    with switch.home.entered():
        host = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    host.bind(("", 4000))
    host.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton("239.1.2.3") + socket.inet_aton("192.0.2.9"))
    host.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("192.0.2.9"))
    host.settimeout(60)
    for n in range(5):
        host.sendto(b"%d" % n, ("239.1.2.3", 4000))
        assert host.recv(100) == b"%d" % n
    wire.send(Ether(src=A, dst="ff:ff:ff:ff:ff:ff") / IP(dst="192.0.2.255") / UDP(dport=80) / bytes(30))
    wait_for(lambda: vr.stats(0)["rx_packets"] >= 1, "the frame from the wire")
    assert vr.stats(0)["rx_packets"] == 1
    host.close()


def test_a_filter_sees_the_tag_in_its_place(switch):
    vr, wire = shared_nic(switch, rule="filter vlan 7 and udp port 80")
    other = switch.vr("drop", "shared=nic,filter udp port 80")
    wait_for(lambda: other.up(0), "carrier")
    for tag in ([], [Dot1Q(vlan=7)], [Dot1Q(vlan=8)]):
        headers = Ether(src=A, dst=B)
        for layer in tag:
            headers /= layer
        wire.send(headers / IP(dst="192.0.2.1") / UDP(dport=80) / bytes(30))
    wait_for(lambda: vr.stats(0)["rx_packets"] == 1 and other.stats(0)["rx_packets"] == 1, "one frame for each")


@pytest.mark.parametrize("program", [b"", b"\xff" * 8, b"\x06\0\0\0\xff\xff\0\0" * 5000],
                         ids=["empty", "no instruction", "too long"])
def test_a_filter_that_is_none_is_refused(program):
    fds = region_fds()
    code = ctypes.create_string_buffer(program)
    attach = bytearray(632)
    struct.pack_into("<III", attach, 0, 632, 0, 1)
    attach[20:22], attach[104:116] = b"lo", b"filter tcp\0\0"
    struct.pack_into("<IIQ", attach, 616, len(program) // 8, 0, ctypes.addressof(code))
    with Device() as device:
        assert device.register(fds, geometry=struct.pack("<8I", 1, 64, 0, 32, 2112, 16, 64, 0))[0] == 0
        error, why = device.call(ATTACH, attach)
        assert error == errno.EINVAL, why
    close(fds)


def test_a_filter_that_is_read_slowly_holds_up_nobody_else():
    """Whatever the supervisor's memory is waiting for, the rest of the host needs RTNL."""
    fds = region_fds()
    attach = bytearray(632)
    struct.pack_into("<III", attach, 0, 632, 0, 1)
    attach[20:22], attach[104:116] = b"lo", b"filter tcp\0\0"
    with Device() as device, SlowMemory() as slow:
        assert device.register(fds, geometry=struct.pack("<8I", 1, 64, 0, 32, 2112, 16, 64, 0))[0] == 0
        struct.pack_into("<IIQ", attach, 616, 1, 0, slow.address)
        with meanwhile(device.call, ATTACH, attach) as attached:
            try:
                slow.wait()
                # Who waits for RTNL can't be killed, so command() would wait for it, and it for the page.
                assert subprocess.Popen(["ip", "link", "set", "lo", "up"]).wait(60) == 0
            finally:
                slow.give(b"\x06\0\0\0\xff\xff\0\0")
        error, why = attached.result()
        assert error == errno.EINVAL and "no Ethernet device" in why
    close(fds)


def test_a_bridged_device_is_not_shared(switch):
    switch.home.ip("link", "add", "nic", "type", "veth", "peer", "name", "wire")
    switch.home.ip("link", "add", "bridge0", "type", "bridge")
    switch.home.ip("link", "set", "nic", "master", "bridge0")
    vr = Driver(switch, switch.stem + "0", "none", "shared=nic")
    assert vr.said.startswith("error ") and '"nic"' in vr.said
    vr.child.wait(20)


@pytest.mark.parametrize("turns", [3])
def test_replaced_under_load_no_slot_is_lost(switch, turns):
    """Told to let go, unloaded, loaded: what was on its way is lost, and nothing else."""
    vr = switch.vr("forward", "generator=size=64", "generator=count=0")
    for _ in range(turns):
        replace_module()
        wait_for(lambda: references() == 1, "the VR to be back")
        sent = vr.stats(1)["tx_packets"]
        wait_for(lambda: vr.stats(1)["tx_packets"] > sent, "frames")
    assert vr.ask("detach 0") == "ok"
    wait_for(vr.all_slots, "all slots accounted for")
