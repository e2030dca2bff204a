# SPDX-License-Identifier: MIT
"""
A switch with hundreds of VRs, or thousands (crowd.c): each is served, and nothing is left of them when they are killed: no memory, no
descriptor, no name. EUROPA_CROWD says how many.
"""
import os
import resource
import signal
import subprocess
from pathlib import Path

import pytest

from conftest import BUILD, SWITCH, wait_for
from test_switch import switch        # noqa: F401 (a fixture)

COUNT = int(os.environ.get("EUROPA_CROWD", 500))
SLACK = 2 * COUNT       # KiB: a page for every other VR


def kibibytes(path, *names):
    return sum(int(line.split()[1]) for line in Path(path).read_text().splitlines() if line.split(":")[0] in names)


class Europad:
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
    def __init__(self, switch):
        pass

    def held(self):
        regions = sum("region_pin" in line for line in Path("/proc/vmallocinfo").read_text().splitlines())
        workers = sum(comm.read_text().startswith("europa/") for comm in Path("/proc").glob("[0-9]*/comm"))
        return int(Path("/sys/module/europa/refcnt").read_text()), regions, workers

    def memory(self):
        """Pinned pages are Shmem and unevictable; all else is the kernel's own."""
        return kibibytes("/proc/meminfo", "Shmem", "Unevictable", "SUnreclaim", "KernelStack", "PageTables", "VmallocUsed", "Percpu")


def nothing_is_left(side, held):
    wait_for(lambda: side.held() == held, f"the crowd to be gone; {held} is what was held before it came")


def crowd_is_served(switch):
    """Killed without a warning once all are served."""
    child = switch.home.popen(BUILD / "tests" / "crowd", COUNT, switch.stem + "c", env=switch.env, stdin=subprocess.PIPE,
                              stderr=switch.log)
    said = child.stdout.readline().strip()
    assert said == "ready", said
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdin.close()


@pytest.fixture
def usual_limits():
    """Of descriptors, as most systems have them: 1024 are for whoever asks for no more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(1024, soft), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_crowd_is_served_and_leaves_nothing(usual_limits, switch):
    bystander = switch.vr("drop", "generator=count=0")
    side = (Module if SWITCH == "kmod" else Europad)(switch)
    held = side.held()
    # The same names each time. What an allocator keeps for the next one, it has kept by the third.
    for _ in range(3):
        memory = side.memory()
        crowd_is_served(switch)
        nothing_is_left(side, held)
    wait_for(lambda: side.memory() < memory + SLACK, f"no memory to be missing; there were {memory} KiB before the third")
    assert bystander.ask("detach 0") == "ok" and bystander.ask("attach 0 generator=count=10") == "ok"
    wait_for(lambda: bystander.stats(0)["rx_packets"] == 10, "the bystander's packets")
