# SPDX-License-Identifier: MIT
"""`make demo` shows what it promises, and leaves nothing behind, also when it is interrupted at any moment."""
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from conftest import ROOT, cgroup_roots, command, process_command, process_env, processes, wait_for

DEMO = ROOT / "tests" / "demo.sh"
# The demo's own name for everything it makes, so that this test's doesn't meet one that somebody watches.
STEM = f"d{os.getpid() % 100000}"


@pytest.fixture
def demo_env(tmp_path_factory):
    run_dir = Path(f"/tmp/{STEM}.run")
    yield dict(os.environ, EUROPA_RUN_DIR=str(run_dir), DEMO_STEM=STEM, LC_ALL="C.UTF-8")
    command("rm", "-rf", run_dir)


def leftovers(env):
    run_dir = env["EUROPA_RUN_DIR"]
    left = [f"namespace {p.name}" for p in Path("/run/netns").glob(f"{STEM}*")]
    left += [f"device {name}" for name in os.listdir("/sys/class/net") if name.startswith(STEM)]
    left += [f"cgroup {p}" for root in cgroup_roots() for p in Path(root).glob(f"europa/{STEM}*")]
    left += [f"process {pid}: {process_command(pid)}" for pid in processes()
             if process_env(pid, "DEMO_STEM") == STEM and pid != os.getpid()]
    left += [f"mount {line.split()[1]}" for line in Path("/proc/self/mounts").read_text().splitlines() if run_dir in line or
             f"/run/netns/{STEM}" in line]
    left += [f"file {p}" for p in Path(run_dir).glob("*") if p.name not in (".lock", "switch.lock", "switch.log", "netns")]
    left += [f"file {p}" for p in Path("/tmp").glob(f"{STEM}*") if str(p) != run_dir]
    return left


def test_shows_what_it_promises(demo_env):
    done = subprocess.run([DEMO], capture_output=True, text=True, env=demo_env, stdin=subprocess.DEVNULL, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    for what in ("$ europa-run --detach", "--cpu 25% --vnics 2", "image/ipfwd", "$ europa-ps", " 0% packet loss", "iperf3", "$ europa-stat",
                 "throttled", "$ europa-kill"):
        assert what in done.stdout, f"{what!r} is missing in\n{done.stdout}"
    assert "\x1b" not in done.stdout, "colours without a terminal"
    wait_for(lambda: not leftovers(demo_env), f"nothing to be left: {leftovers(demo_env)}")


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_leaves_nothing_behind_when_interrupted_at_any_moment(demo_env, sig):
    rnd = random.Random(sig)
    for moment in (0.05, 0.3, rnd.uniform(0.3, 2), rnd.uniform(2, 6)):
        demo = subprocess.Popen([DEMO], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=demo_env,
                                stdin=subprocess.DEVNULL, start_new_session=True)
        time.sleep(moment)                # the moment is what is tested
        if demo.poll() is None:
            # As a terminal does: to the whole process group.
            os.killpg(demo.pid, sig)
        out, _ = demo.communicate(timeout=60)
        wait_for(lambda: not leftovers(demo_env), f"nothing to be left after {moment:.2f} s: {leftovers(demo_env)}\n{out}")
