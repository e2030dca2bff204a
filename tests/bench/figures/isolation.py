# SPDX-License-Identifier: MIT
"""
A router beside neighbours that mean it no good.
"""
import contextlib
import json
import os
import shutil
import tempfile
import threading
import time
from pathlib import Path

import bench
from bench import BUILD, VR, options, run
from figure import figure, in_turns, remark
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


def nobody(directory, cpus):
    return contextlib.nullcontext()


@contextlib.contextmanager
def neighbour(directory, cpus, program, *vr_options, args=()):
    vr = VR(image_of(tempfile.mkdtemp(dir=directory), program), "--cpu", "25%", "--cpuset", cpus, *vr_options, args=args)
    try:
        yield vr
    finally:
        vr.kill()


NO_PORTS = ("--link", "0=none", "--link", "1=none")


def spinning(directory, cpus):
    return neighbour(directory, cpus, "neighbour", *NO_PORTS, args=["spin"])


def flooding(directory, cpus):
    return neighbour(directory, cpus, "neighbour", *NO_PORTS, args=["flood"])


def flooded(directory, cpus):
    return neighbour(directory, cpus, "neighbour", "--link", "0=generator:size=64", "--link", "1=none", args=["spin"])


def hostile(directory, cpus):
    return neighbour(directory, cpus, "hostile", "--link", "0=generator:size=64", "--link", "1=none")


@contextlib.contextmanager
def dying(directory, cpus):
    image, over = image_of(tempfile.mkdtemp(dir=directory), "neighbour"), threading.Event()

    def live_and_die():
        while not over.is_set():
            run(BUILD / "bin/europa-run", "--rm", "--name", f"{bench.STEM}die", "--cpu", "25%", "--cpuset", cpus, *NO_PORTS, image, "die",
                check=False)
    loop = threading.Thread(target=live_and_die)
    loop.start()
    try:
        yield
    finally:
        over.set()
        loop.join()


NEIGHBOURS = {"alone": nobody, "spins": spinning, "floods": flooding, "is flooded": flooded, "dies and restarts": dying, "is hostile": hostile}


SHARED, APART = "shared", "its own"
EVERYWHERE = range(os.cpu_count())
TO_THE_ROUTER = {SHARED: EVERYWHERE, APART: [bench.ROUTER_CPU]}
TO_THE_NEIGHBOUR = {SHARED: EVERYWHERE, APART: [bench.GENERATOR_CPU]}
WORKERS = Path("/sys/devices/virtual/workqueue/cpumask")


def poll_threads():
    return [thread for thread in bench.threads(bench.switch_pids()) if bench.name_of(thread) == "europad-poll"]


@contextlib.contextmanager
def workers_on(cpus):
    """The kernel's, one of which ends a network namespace."""
    try:
        before = WORKERS.read_text()
        WORKERS.write_text(f"{sum(1 << cpu for cpu in cpus):x}")
    except OSError as error:
        remark(f"The kernel's workers were on all CPUs: {error}")
        yield
        return
    try:
        yield
    finally:
        WORKERS.write_text(before)


@contextlib.contextmanager
def all_others_on(cpus):
    """
    This program and what it starts, whoever in the switch doesn't forward, and the kernel's workers: a fork or the end of a namespace takes longer
    than a packet may, and a neighbour that dies again and again makes many of them.
    """
    forwarding = poll_threads()
    others = [thread for thread in bench.threads([os.getpid(), *bench.switch_pids()]) if thread not in forwarding]
    bench.pin_threads(others, *cpus)
    try:
        with workers_on(cpus):
            yield
    finally:
        bench.pin_threads(others, *EVERYWHERE)


@figure("isolation", "A router beside a neighbour with a quarter of a CPU that ...", ["cpu", "neighbour"], ["loss", "p50", "p99", "p999"],
        "set style data histograms\nset style fill solid 0.7\nset logscale y\nset ylabel 'microseconds'\nset xtics rotate by -20\n"
        f"who = \"strcol('neighbour').(strcol('cpu') eq '{APART}' ? ', apart' : '')\"\nplot "
        + ", ".join(f"file using \"{y}\":xtic(@who) title '{y}'" for y in ("p50", "p99", "p999")),
        f"""ipfwd on {bench.SWITCH} over veth with a steady 20,000 packets/s, whose losses are counted by their numbers and whose time is taken,
        beside one other VR on the same switch. cpu {SHARED}: nothing is pinned. {APART}: CPU {bench.ROUTER_CPU} is for the router and for the
        switch's thread that forwards; the neighbour (by --cpuset), the generator, the sink, the switch's other threads and the kernel's unbound
        workers (/sys/devices/virtual/workqueue/cpumask) keep to the other.""")
def isolation():
    path = bench.EuropaRouter()
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)                    # a VR's root is no root out here
        for cpu, who in in_turns("isolation", TO_THE_NEIGHBOUR, NEIGHBOURS):
            cpus = TO_THE_NEIGHBOUR[cpu]
            bench.pin(path.vr.pids(), *TO_THE_ROUTER[cpu])
            bench.pin_threads(poll_threads(), *TO_THE_ROUTER[cpu])
            with all_others_on(cpus), NEIGHBOURS[who](directory, ",".join(map(str, cpus))):
                time.sleep(0.3)
                times = latency(path, 20000, max(2, options.seconds), steady=True)
                yield dict(cpu=cpu, neighbour=who) | pick(times, "loss", "p50", "p99", "p999")
