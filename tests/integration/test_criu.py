# SPDX-License-Identifier: MIT
"""
Checkpoint and restore by criu. Its kernel is an older one than most hosts run (docs/checkpoint.md): tests/vm/check.sh boots one.
"""
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from conftest import Routed, wait_for
from test_checkpoint import Sequence, checkpoint, counted, data_plane, identity, nothing_in, passes, restore


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


@needs_criu
def test_under_traffic_nothing_is_doubled(europa, a, b, tmp_path):
    routed = Routed(europa, a, b, "--pool", "16384", "--ring", "4096")
    passes(routed)
    sequence = Sequence(routed, 200)
    wait_for(lambda: len(sequence.received) > 100, "traffic")
    checkpoint(routed.vr, tmp_path / "left", "--leave-running", mode="criu")
    seen = len(sequence.received)
    wait_for(lambda: len(sequence.received) > seen + 50, "traffic to go on")
    print(checkpoint(routed.vr, tmp_path / "saved", mode="criu"))
    restore(europa, tmp_path / "saved")
    seen = len(sequence.received)
    wait_for(lambda: len(sequence.received) > seen + 100, "traffic to go on")
    sequence.finish()
    assert len(sequence.received) == len(set(sequence.received)), "a packet came twice"


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
