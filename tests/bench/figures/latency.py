# SPDX-License-Identifier: MIT
"""
How long a packet takes, and what those use that have none.
"""
import time

import bench
from bench import ROOT, VR, note, on_one_cpu, options
from figure import figure, in_turns, lines
from parts import background, latency, pick


CONTENDERS = [kind.title for kind in bench.ROUTERS]


@figure("wakeup", "How long a packet takes, by how seldom packets come", ["contender", "rate"], ["p50", "p90", "p99", "loss"],
        "set logscale xy\nset xlabel 'packets/s'\nset ylabel 'microseconds'\nplot " + lines(CONTENDERS, "rate", "p50") + ", " +
        lines(CONTENDERS, "rate", "p99", "p99 ", "dt 2"),
        """UDP over veth through each router; from the send call to the kernel's time stamp at the other end. At 20 packets/s each packet finds
        everybody asleep: the first packet after a pause, and what a wake-up costs. Nothing is pinned.""")
def wakeup():
    paths = [kind() for kind in bench.ROUTERS]
    for rate, path in in_turns("wakeup", [20, 200, 2000, 20000], paths):
        yield dict(contender=path.title, rate=rate) | pick(latency(path, rate, max(options.seconds, 40 / rate)), "p50", "p90", "p99", "loss")


@figure("load", "How long a packet takes beside 10, 50 and 90 % of what gets through", ["contender", "load"], ["p50", "p99", "p999", "loss"],
        "set logscale y\nset xlabel 'load, percent of the most that gets through'\nset ylabel 'microseconds'\nplot "
        + lines(CONTENDERS, "load", "p50") + ", " + lines(CONTENDERS, "load", "p99", "p99 ", "dt 2"),
        """As figure 5a: 64-byte UDP, everything that routes on one CPU. In each round first the most that gets through each router is looked for,
        then shares of that are offered, and beside them a probe of 500 packets/s takes the time.""")
def load():
    paths = [kind() for kind in bench.ROUTERS]
    with on_one_cpu(paths):
        for (path,) in in_turns("load", paths):
            most, _, _ = bench.best_of(path)
            for share in (10, 50, 90):
                with background(path, most * share / 100):
                    yield dict(contender=path.title, load=share) | pick(latency(path, 500, port=10), "p50", "p99", "p999", "loss")


@figure("idle", "The CPU that idle virtual routers and their switch use", ["vrs"], ["switch", "routers", "together"],
        "set xlabel 'VRs'\nset ylabel 'percent of a CPU'\nset yrange [0:]\nplot file using \"vrs\":\"switch\" with linespoints lw 2 title 'europad', "
        "file using \"vrs\":\"together\" with linespoints lw 2 title 'with all VRs'",
        """ipfwd with two vNICs each, no packets, over two seconds; CPU time from schedstat.""")
def idle():
    vrs = []
    for count in (1, 4, 10):
        while len(vrs) < count:
            vrs.append(VR(ROOT / "image/ipfwd", "--vnics", "2"))
        time.sleep(1)
        routers = [pid for vr in vrs for pid in vr.pids()]
        for number in range(options.rounds):
            note(f"idle: {count} VRs, round {number + 1} of {options.rounds}")
            before, start = [bench.sum_runtime(pids) for pids in (bench.switch_pids(), routers)], time.monotonic()
            time.sleep(2)
            elapsed = time.monotonic() - start
            switch, used = (100 * (bench.sum_runtime(pids) - b) / elapsed for pids, b in zip((bench.switch_pids(), routers), before))
            yield dict(vrs=count, switch=switch, routers=used, together=switch + used)
