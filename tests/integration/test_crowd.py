# SPDX-License-Identifier: MIT
"""
A switch with hundreds of VRs, or thousands (crowd.c): each is served, and nothing is left of them when they are killed: no memory, no
descriptor, no name, no device. Who is beside them loses no packet. EUROPA_CROWD says how many; thousands are nothing to the module, but its
emulated machine takes minutes for each turn.
"""
import os
import resource
import signal
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from conftest import BUILD, DEADLINE, SWITCH, wait_for
from test_switch import frame, switch        # noqa: F401 (a fixture)

COUNT = int(os.environ.get("EUROPA_CROWD", 2000 if SWITCH == "kmod" else 500))
# What an allocator keeps for the next one, it has kept before the last one comes.
CROWDS = [COUNT // 8, COUNT] if SWITCH == "kmod" else [COUNT] * 3
SLACK = 2 * COUNT       # KiB: a page for every other VR
BURST = 32


def kibibytes(path, *names):
    return sum(int(line.split()[1]) for line in Path(path).read_text().splitlines() if line.split(":")[0] in names)


class Europad:
    crowd = []

    def __init__(self, switch):
        self.proc = Path(f"/proc/{switch.pid()}")

    def held(self):
        """What there is one or more of for each VR. Sockets are not counted: it makes some before anybody asks for one."""
        files = [os.readlink(file).split(":")[0] for file in self.proc.joinpath("fd").iterdir()]
        return (files.count("pipe"), files.count("net"), len(list(self.proc.joinpath("task").iterdir())),
                sum("/memfd:europa-" in line for line in self.proc.joinpath("maps").read_text().splitlines()))

    def memory(self):
        return kibibytes(self.proc / "status", "RssAnon")


class Module:
    crowd = ["devices"]

    def __init__(self, switch):
        self.home = switch.home

    def held(self):
        regions = sum("region_pin" in line for line in Path("/proc/vmallocinfo").read_text().splitlines())
        workers = sum(comm.read_text().startswith("europa/") for comm in Path("/proc").glob("[0-9]*/comm"))
        return int(Path("/sys/module/europa/refcnt").read_text()), regions, workers, len(self.home.names())

    def memory(self):
        """Pinned pages are Shmem and unevictable; all else is the kernel's own."""
        return kibibytes("/proc/meminfo", "Shmem", "Unevictable", "SUnreclaim", "KernelStack", "PageTables", "VmallocUsed", "Percpu")


def nothing_is_left(side, held):
    wait_for(lambda: side.held() == held, f"the crowd to be gone; {held} is what was held before it came")


def crowd_is_served(switch, count, *options):
    """Killed without a warning once all are served."""
    child = switch.home.popen(BUILD / "tests" / "crowd", count, switch.stem + "c", *options, env=switch.env, stdin=subprocess.PIPE,
                              stderr=switch.log)
    said = child.stdout.readline().strip()
    assert said == "ready", said
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdin.close()


def pump(left, right, over):
    """Bursts from one wire to the other until it is over; how many frames that were, all of which have arrived, in order."""
    sent = 0
    while not over.wait(0.05):
        burst = [bytes(frame()) + b"%8d" % (sent + n) for n in range(BURST)]
        for one in burst:
            left.send(one)
        assert [right.receive() for _ in burst] == burst
        sent += BURST
    return sent


@contextmanager
def traffic(left, right):
    """While the block runs. Nothing may be lost."""
    over = threading.Event()
    with ThreadPoolExecutor() as pool:
        pumping = pool.submit(pump, left, right, over)
        try:
            yield
        finally:
            over.set()
    assert pumping.result() > 0


@pytest.fixture
def usual_limits():
    """Of descriptors, as most systems have them: 1024 are for whoever asks for no more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(1024, soft), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_crowd_is_served_and_leaves_nothing(usual_limits, switch):
    bystander, left, right = switch.between()
    right.socket.settimeout(DEADLINE)
    side = (Module if SWITCH == "kmod" else Europad)(switch)
    held = side.held()
    with traffic(left, right):
        # The same names each time.
        for count in CROWDS:
            memory = side.memory()
            crowd_is_served(switch, count, *side.crowd)
            nothing_is_left(side, held)
    wait_for(lambda: side.memory() < memory + SLACK, f"no memory to be missing; there were {memory} KiB before the last crowd")
    wait_for(bystander.all_slots, "all slots back")
