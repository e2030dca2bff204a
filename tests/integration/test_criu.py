# SPDX-License-Identifier: MIT
"""
Checkpoint and restore by criu. Its kernel is an older one than most hosts run (docs/checkpoint.md): tests/vm/check.sh boots one.
"""
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from conftest import SWITCH, Routed, process_command, process_name, processes, wait_for
from test_checkpoint import (Sequence, checkpoint, counted, data_plane, dropped, europa2, faults, goes_from_one_switch_to_the_other_and_back, goes_on,
                             identity, moves_to_another_host_and_back, nothing_in, nothing_runs, passes, restore, restore_fails_at_any_step,
                             tcp_survives, tool_killed_at_any_step)


def why_not():
    if not shutil.which("criu"):
        return "criu is not installed"
    done = subprocess.run(["criu", "check"], capture_output=True, text=True)
    return "" if done.returncode == 0 else "criu check: " + (done.stdout + done.stderr).strip().splitlines()[-1]


WHY_NOT = why_not()
needs_criu = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "-")


def process(pid):
    """What the kernel holds of a process that a restore must not make laxer."""
    wanted = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Seccomp_filters")
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)
    inner = [int(n) for n in status["Uid"].split()]
    base = int(Path(f"/proc/{pid}/uid_map").read_text().split()[1])
    return {key: status[key] for key in wanted} | {"uids": [n - base for n in inner], "pid": status["NSpid"].split()[-1],
                                                   "command": Path(f"/proc/{pid}/cmdline").read_text()}


def namespaces(pid):
    return {name: os.readlink(f"/proc/{pid}/ns/{name}") for name in ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")}


@pytest.mark.skipif(not WHY_NOT, reason="criu works here")
def test_without_criu_it_is_refused_and_auto_is_warm(routed, tmp_path):
    done = routed.europa("checkpoint", "--mode", "criu", routed.vr.name, tmp_path / "saved", check=False)
    assert done.returncode == 1 and "--mode criu: criu check failed" in done.stderr and len(done.stderr.splitlines()) == 1, done
    nothing_in(tmp_path / "saved")
    assert checkpoint(routed.vr, tmp_path / "saved", mode="auto")["mode"] == "warm"


@needs_criu
def test_a_process_goes_on_in_every_generation(europa, a, b, tmp_path):
    """Its identity, its limits, its privileges; in the namespaces that its process 1 has."""
    routed = Routed(europa, a, b, "--cpu", "50%", "--memory", "128M", "--pids", "20")
    passes(routed)
    before, was = identity(routed), process(data_plane(routed.vr))
    for generation in range(3):
        numbers = counted(routed.vr)
        said = checkpoint(routed.vr, tmp_path / f"saved{generation}", mode="auto")
        assert said["mode"] == "criu"
        wait_for(lambda: not routed.vr.leftovers(), f"nothing to be left: {routed.vr.leftovers()}")
        restore(europa, tmp_path / f"saved{generation}")
        assert identity(routed) == before
        pid = data_plane(routed.vr)
        assert process(pid) == was
        assert namespaces(pid) == namespaces(routed.vr.state()["init"]["pid"])
        after = counted(routed.vr)
        assert not [(key, numbers[key], after.get(key)) for key in numbers if after.get(key, -1) < numbers[key]]
        passes(routed)
    assert {path.name for path in (tmp_path / "saved0").iterdir()} == {"manifest.json", "region", "criu"}


@pytest.fixture
def one_cpu():
    """What waits at a sender for its neighbour is sent by the CPU where the answer came in: another CPU's next frame may overtake it on a veth."""
    cpus = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cpus)})
    yield
    os.sched_setaffinity(0, cpus)


@needs_criu
def test_under_traffic_nothing_is_doubled_and_what_is_lost_is_counted(one_cpu, europa, a, b, tmp_path):
    """And everything arrives in the order in which it was sent, also where the VR is left running."""
    routed = Routed(europa, a, b, "--pool", "16384", "--ring", "4096")
    passes(routed)
    before = dropped(routed.vr)
    sequence = Sequence(routed, 200)
    wait_for(lambda: len(sequence.received) > 100, "traffic")
    left = checkpoint(routed.vr, tmp_path / "left", "--leave-running", mode="criu")
    seen = len(sequence.received)
    wait_for(lambda: len(sequence.received) > seen + 50, "traffic to go on")
    last = sequence.received[-1]
    start = time.monotonic()
    said = checkpoint(routed.vr, tmp_path / "saved", mode="criu")
    restore(europa, tmp_path / "saved")
    end = time.monotonic()
    seen = len(sequence.received)
    wait_for(lambda: len(sequence.received) > seen + 100, "traffic to go on")
    sequence.finish()
    lost = sequence.check(said["lost_packets"] + dropped(routed.vr) - before)
    first = min(n for n in sequence.received if sequence.sent.get(n, 0) > end)
    print(f"left running: it stood still for {left['frozen_ms']} ms; moved: {said['frozen_ms']} ms, both commands {(end - start) * 1000:.0f} ms; "
          f"nothing came between {last} and {first}, 5 ms apart; sent {len(sequence.sent)}, on the wire {len(sequence.taps[0].numbers)}, lost {lost}")


@needs_criu
def test_established_tcp_survives(routed, tmp_path):
    tcp_survives(routed, tmp_path, "criu")


@needs_criu
def test_a_router_moves_to_another_host_and_back(europa, europa2, a, b, tmp_path):
    moves_to_another_host_and_back(Routed(europa, a, b), europa2, tmp_path, "criu")


@needs_criu
@pytest.mark.skipif(SWITCH != "kmod", reason="wants both switches")
def test_from_one_switch_to_the_other_and_back(routed, tmp_path):
    goes_from_one_switch_to_the_other_and_back(routed, tmp_path, "criu")


@needs_criu
def test_a_restored_vr_outlives_its_switch(routed, tmp_path):
    passes(routed)
    checkpoint(routed.vr, tmp_path / "saved", mode="criu")
    restore(routed.europa, tmp_path / "saved")
    pid = data_plane(routed.vr)
    switch = routed.europa.switches()
    routed.europa.end_switch()
    wait_for(lambda: routed.vr.stat()["switch"]["status"] == "attached" and routed.europa.switches() not in ([], switch), "another switch")
    # Its devices are new ones where the module was unloaded.
    if SWITCH != "kmod":
        passes(routed)
    assert data_plane(routed.vr) == pid


# ---- failures ----

@needs_criu
def test_the_tool_killed_at_any_step(routed, faults, tmp_path):
    tool_killed_at_any_step(routed, tmp_path, "criu")


@needs_criu
def test_the_tool_killed_while_criu_runs(routed, tmp_path):
    """criu is not: it would take with it what it holds. It comes to its end, or finds that its directory has gone, and lets go."""
    passes(routed)
    pids, europa = routed.vr.pids(), routed.europa
    for begun in ("", "fdinfo-", "pages-"):
        tool = europa.popen("checkpoint", "--mode", "criu", "--leave-running", routed.vr.name, tmp_path / "saved")
        wait_for(lambda: tool.poll() is not None or list(tmp_path.glob(f"saved.partial.*/criu/{begun}*")), f"criu to write {begun}", step=0.001)
        tool.kill()
        assert tool.wait() == -signal.SIGKILL, tool.stdout.read()
        wait_for(lambda: "criu" not in map(process_name, processes()), "criu to end")
        goes_on(routed, pids, tmp_path / "saved")


@needs_criu
def test_a_restore_that_fails_or_is_killed_at_any_step(routed, faults, tmp_path):
    """Also while criu runs, which goes with the VR's process 1."""
    vr, europa, saved = routed.vr, routed.europa, tmp_path / "saved"
    passes(routed)
    checkpoint(vr, saved, mode="criu")
    # Nobody executes the data plane, and what it may use is in criu's image.
    restore_fails_at_any_step(vr, [step for step in faults if step not in ("rlimits", "exec")], saved, "--replay")
    tool = europa.popen("restore", "--detach", "--no-network", "--replay", saved)
    wait_for(lambda: any(process_name(pid) == "criu" and " restore " in process_command(pid) for pid in vr.pids()), "criu", step=0.001)
    os.kill(vr.supervisor(), signal.SIGKILL)
    assert tool.wait() != 0
    nothing_runs(vr, "after criu")
    assert "criu" not in map(process_name, processes())
    restore(europa, saved, "--replay")
    passes(routed)


# ---- what is refused ----

@needs_criu
def test_an_image_is_refused_unless_it_is_private_and_intact(routed, tmp_path):
    """Every file of it, cut and changed by turns; before anything is made."""
    passes(routed)
    saved = tmp_path / "saved"
    checkpoint(routed.vr, saved, mode="criu")
    wait_for(lambda: not routed.vr.leftovers(), "nothing to be left")

    def refused(*words):
        done = routed.europa("restore", "--detach", saved, check=False)
        assert done.returncode == 125 and len(done.stderr.splitlines()) == 1, done
        assert all(str(word) in done.stderr for word in words), (words, done.stderr)
        assert not routed.europa("ps", "-a", "-q").stdout
    for n, path in enumerate(sorted((saved / "criu").iterdir())):
        good = path.read_bytes()
        path.write_bytes(good[:-1] if n % 2 else good[:-1] + bytes([good[-1] ^ 1]))
        refused(path, "damaged")
        path.write_bytes(good)
    for path in (saved, saved / "criu"):
        path.chmod(0o755)
        refused(path, "0755", "0700")
        path.chmod(0o700)
        os.chown(path, 1, 1)
        refused(path, "user 1")
        os.chown(path, 0, 0)
    restore(routed.europa, saved)
    passes(routed)


@needs_criu
def test_what_criu_says_is_passed_on(routed, tmp_path):
    """A process that criu can't take, since somebody traces it: the VR goes on, and the log is kept."""
    passes(routed)
    tracer = subprocess.Popen(["strace", "-q", "-o", "/dev/null", "-p", str(data_plane(routed.vr))]) if shutil.which("strace") else None
    if not tracer:
        pytest.skip("strace is not installed")
    try:
        status = Path(f"/proc/{data_plane(routed.vr)}/status")
        wait_for(lambda: f"TracerPid:\t{tracer.pid}" in status.read_text(), "the tracer")
        done = routed.europa("checkpoint", "--mode", "criu", routed.vr.name, tmp_path / "saved", check=False)
        assert done.returncode == 1 and "criu dump failed" in done.stderr and "Error (" in done.stderr, done
        log = Path(done.stderr.split('its log is "')[1].split('"')[0])
        assert "Error" in log.read_text()
        nothing_in(tmp_path / "saved")
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.wait()
    passes(routed)
