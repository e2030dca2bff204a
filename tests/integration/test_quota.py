# SPDX-License-Identifier: MIT
"""
A VR that polls for ever uses the CPU that it was given, and no more. All bounds are upper bounds over a window that is measured from before the
first reading to after the last one, so that a machine that does other work can only make them easier to keep; that the VR has come up against
them is seen by how often it was stopped.
"""
import os
import time
from pathlib import Path

import pytest

from conftest import process_state, program_image, wait_for

SECONDS = 4.0


@pytest.fixture
def spinner(tmp_path):
    return program_image(tmp_path, "neighbour")


def spin(europa, image, *options, others=0):
    vr = europa.start(image, *options, "--link", "0=none", "--link", "1=none", args=["spin", others])
    wait_for(lambda: sum(process_state(pid) == "R" for pid in vr.pids()) > others, "it to spin")
    return vr


class Used:
    """The CPU that a VR uses while `with` lasts, in percent of one CPU, and the periods in which it was stopped meanwhile."""

    def __init__(self, *vrs):
        self.vrs = vrs

    def __enter__(self):
        self.begin = time.monotonic()
        self.before = [vr.stat()["cpu"] for vr in self.vrs]
        return self

    def __exit__(self, *_):
        after = [vr.stat()["cpu"] for vr in self.vrs]
        elapsed = time.monotonic() - self.begin
        self.percents = [(b["used_usec"] - a["used_usec"]) / elapsed / 1e4 for a, b in zip(self.before, after)]
        self.percent = self.percents[0]
        self.throttled = after[0]["periods_throttled"] - self.before[0]["periods_throttled"]


def stays_within(vr, percent, period=0.01):
    """Window after window until one in which the quota stopped it: on a loaded machine it may not get that far for a while."""
    def comes_up_against_it():
        with Used(vr) as used:
            time.sleep(SECONDS)
        # A window of N periods' length may touch N + 1 of them.
        assert used.percent <= percent + 0.5 + percent * period / SECONDS
        return used.throttled > 0
    wait_for(comes_up_against_it, "the quota to stop it", timeout=90)


@pytest.mark.parametrize("options, others, period", [((), 0, 0.01), (("--cpu-period", "100ms"), 0, 0.1), (("--cpu-burst", "2500us"), 0, 0.01),
                                                     ((), 3, 0.01)], ids=["", "period_of_100_ms", "burst", "four_processes"])
def test_a_spinning_vr_stays_within_a_quarter_of_a_cpu(europa, spinner, options, others, period):
    vr = spin(europa, spinner, "--cpu", "25%", *options, others=others)
    stays_within(vr, 25, period)


def test_another_quota_holds_from_the_moment_it_is_given(europa, spinner):
    vr = spin(europa, spinner, "--cpu", "50%")
    for percent in (10, 30, 5):
        europa("update", "--cpu", f"{percent}%", vr.name)
        stays_within(vr, percent)
    europa("update", "--cpu", "unlimited", vr.name)
    with Used(vr) as used:
        wait_for(lambda: vr.stat()["cpu"]["used_usec"] - used.before[0]["used_usec"] > 500_000, "half a second of CPU")
    assert used.throttled == 0


def test_a_cpuset_keeps_spinning_processes_on_their_cpus(europa, spinner):
    vr = spin(europa, spinner, "--cpuset", 0, others=3)

    def allowed():
        return {os.sched_getaffinity(pid) == {0} for pid in vr.pids() if "neighbour" in Path(f"/proc/{pid}/comm").read_text()}
    assert allowed() == {True}
    with Used(vr) as used:
        time.sleep(SECONDS)
    assert used.percent <= 100.5


def test_who_wants_the_same_cpu_gets_it_by_weight(europa, spinner):
    """The ratio, not the shares: what else runs there takes from both."""
    light = spin(europa, spinner, "--cpuset", 0, "--cpu-weight", 50)
    heavy = spin(europa, spinner, "--cpuset", 0, "--cpu-weight", 400)
    with Used(light, heavy) as used:
        time.sleep(SECONDS)
    assert used.percents[1] > 3 * used.percents[0]
    europa("update", "--cpu-weight", 400, light.name)
    europa("update", "--cpu-weight", 50, heavy.name)
    with Used(light, heavy) as used:
        time.sleep(SECONDS)
    assert used.percents[0] > 3 * used.percents[1]
    assert light.inspect()["state"]["limits"]["cpu_weight"] == 400


def test_an_idle_vr_with_the_same_quota_is_never_stopped(europa):
    """The spinner's counterpart: who waits by europa_wait has its quota left when packets come."""
    vr = europa.start("nullfwd", "--cpu", "25%", "--vnics", 2)

    # Once it has started, which may cost more.
    def rests():
        with Used(vr) as used:
            time.sleep(SECONDS / 2)
        return used.percent <= 2 and used.throttled == 0
    wait_for(rests, "it to come to rest")
