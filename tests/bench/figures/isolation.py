# SPDX-License-Identifier: MIT
"""
A router beside neighbours that mean it no good.
"""
import contextlib
import json
import shutil
import tempfile
import threading
import time
from pathlib import Path

import bench
from bench import BUILD, VR, options, run
from figure import figure, in_turns
from parts import PROGRAMS, latency, pick


def image_of(directory, program):
    """An image with one of the test programs as its data plane."""
    image = Path(directory) / program
    for name in ("bin", "dev", "etc", "proc", "sys", "tmp", "run"):
        (image / "rootfs" / name).mkdir(parents=True)
    shutil.copy(PROGRAMS / program, image / "rootfs/bin" / program)
    (image / "config.json").write_text(json.dumps({
        "ociVersion": "1.0.2", "root": {"path": "rootfs", "readonly": True},
        "process": {"user": {"uid": 65534, "gid": 65534}, "args": [f"/bin/{program}"], "env": ["PATH=/bin"], "cwd": "/"},
        "annotations": {"io.europa.vnics": "2", "io.europa.seccomp": "wide"}}))
    for path in (Path(directory), image, image / "rootfs"):
        path.chmod(0o755)
    return image


def nobody(directory):
    return contextlib.nullcontext()


@contextlib.contextmanager
def neighbour(directory, program, *vr_options, args=()):
    vr = VR(image_of(tempfile.mkdtemp(dir=directory), program), "--cpu", "25%", *vr_options, args=args)
    try:
        yield vr
    finally:
        vr.kill()


NO_PORTS = ("--link", "0=none", "--link", "1=none")


def spinning(directory):
    return neighbour(directory, "neighbour", *NO_PORTS, args=["spin"])


def flooding(directory):
    return neighbour(directory, "neighbour", *NO_PORTS, args=["flood"])


def flooded(directory):
    return neighbour(directory, "neighbour", "--link", "0=generator:size=64", "--link", "1=none", args=["spin"])


def hostile(directory):
    return neighbour(directory, "hostile", "--link", "0=generator:size=64", "--link", "1=none")


@contextlib.contextmanager
def dying(directory):
    image, over = image_of(tempfile.mkdtemp(dir=directory), "neighbour"), threading.Event()

    def live_and_die():
        while not over.is_set():
            run(BUILD / "bin/europa-run", "--rm", "--name", f"{bench.STEM}die", "--cpu", "25%", *NO_PORTS, image, "die", check=False)
    loop = threading.Thread(target=live_and_die)
    loop.start()
    try:
        yield
    finally:
        over.set()
        loop.join()


NEIGHBOURS = {"alone": nobody, "spins": spinning, "floods": flooding, "is flooded": flooded, "dies and restarts": dying, "is hostile": hostile}


@figure("isolation", "A router beside a neighbour with a quarter of a CPU that ...", ["neighbour"], ["loss", "p50", "p99", "p999"],
        "set style data histograms\nset style fill solid 0.7\nset logscale y\nset ylabel 'microseconds'\n"
        "plot file using \"p50\":xtic(1) title 'p50', '' using \"p99\" title 'p99', '' using \"p999\" title 'p99.9'",
        """ipfwd on europad over veth with a steady 20,000 packets/s, whose losses are counted by their numbers and whose time is taken, beside
        one other VR on the same europad; nothing is pinned.""")
def isolation():
    path = bench.EuropaRouter()
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)                    # a VR's root is no root out here
        for (who,) in in_turns("isolation", NEIGHBOURS):
            with NEIGHBOURS[who](directory):
                time.sleep(0.3)
                yield dict(neighbour=who) | pick(latency(path, 20000, max(2, options.seconds)), "loss", "p50", "p99", "p999")
