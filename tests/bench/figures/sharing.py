# SPDX-License-Identifier: MIT
"""
Many virtual routers on one switch.
"""
import math
import os
import tempfile
import time
from pathlib import Path

import bench
from bench import GENERATOR_CPU, ROOT, ROUTER_CPU, VR, Namespace, note, on_one_cpu, options, pin, slowed, switch_pids
from figure import figure, in_turns, lines
from parts import GENERATORS, background, jain, rates


@figure("fairness", "One to ten VRs between generators, all of them overloaded", ["vrs"], ["aggregate", "average", "jain"],
        "set xlabel 'VRs'\nset ylabel 'million packets/s'\nset yrange [0:]\n"
        "plot file using \"vrs\":(column('aggregate') / 1e6) with linespoints lw 2 title 'all together', "
        "file using \"vrs\":(column('average') / 1e6) with linespoints lw 2 title 'each'",
        f"""One to ten times nullfwd between two generator ports of {bench.SWITCH}, which has more for each than it can take: what all of
        them forward, and Jain's index of their shares. europad has a CPU of its own, and the VRs share the other one; of the module nothing is
        pinned.""")
def fairness():
    vrs = []
    for count in (1, 2, 4, 7, 10):
        while len(vrs) < count:
            vrs.append(VR(ROOT / "image/nullfwd", *GENERATORS))
            pin(switch_pids(), GENERATOR_CPU)
            pin(vrs[-1].pids(), ROUTER_CPU)
        time.sleep(0.3)
        for number in range(options.rounds):
            note(f"fairness: {count} VRs, round {number + 1} of {options.rounds}")
            shares = rates(vrs)
            yield dict(vrs=count, aggregate=sum(shares), average=sum(shares) / count, jain=jain(shares))


COUNTS = [1, 2, 4, 7, 10]
RATES = [slowed(1000 * k) for k in (400, 600, 800, 1000, 1400)]
SHARERS = [bench.EuropaRouter.title, bench.KernelRouter.title]


def ten_of_each():
    return {bench.EuropaRouter.title: [bench.EuropaRouter(letter=f"e{n}") for n in range(max(COUNTS))],
            bench.KernelRouter.title: [bench.KernelRouter(f"k{n}") for n in range(max(COUNTS))]}


class Several(bench.Path3):
    """
    Paths that one generator serves in turn, frame by frame: all their devices are in one namespace. The threads of their NICs, which stand for the
    softirqs of one CPU, are together as heavy as the one thread that these are put off to; each level of nice is a factor of 1.25.
    """

    def __init__(self, paths, directory):
        for path in paths:
            os.setpriority(os.PRIO_PROCESS, path.nic_thread(), round(-20 + math.log(len(paths), 1.25)))
        self.paths, self.gen, self.left, self.mac = paths, paths[0].gen, paths[0].left, paths[0].mac
        self.targets = Path(directory, f"{self.gen.name}-{len(paths)}")
        self.targets.write_text("".join(f"{path.left} {path.mac} 10.0.1.2\n" for path in paths))

    def rates(self):
        before, start = [path.received() for path in self.paths], time.monotonic()
        time.sleep(options.seconds / 2)
        after, elapsed = [path.received() for path in self.paths], time.monotonic() - start
        return [(b - a) / elapsed for a, b in zip(before, after)]


def gather(paths, home):
    """Moves the generators' devices into one namespace."""
    for path in paths:
        name = f"to-{path.gen.name}"[-15:]
        path.gen.run("ip", "link", "set", path.left, "netns", home.name, "name", name)
        home.run("ip", "link", "set", name, "up")
        path.gen, path.left = home, name


@figure("figure6", "Figure 6: one to ten routers on one CPU", ["contender", "vrs"], ["aggregate", "average", "jain", "offered"],
        "set xlabel 'routers'\nset ylabel 'thousand packets/s'\nset yrange [0:]\nplot " + ", ".join(
            f"file using \"vrs\":(series('contender', '{c}', '{y}') / 1e3) with linespoints lw 2 {dash} title '{c}, {title}'"
            for c in SHARERS for y, title, dash in (("aggregate", "all together", ""), ("average", "each", "dt 2"))),
        f"""One to ten ipfwd on {bench.SWITCH}, and as many namespaces with ip_forward, over veth as in figure 5a: everything that routes on one
        CPU. One generator offers to each the same, frame by frame; what is offered in all is what gives the most, of {RATES[0]:,} to
        {RATES[-1]:,} packets/s. Jain's index of what comes out of each.""")
def figure6():
    routers = ten_of_each()
    with tempfile.TemporaryDirectory() as directory, on_one_cpu([path for paths in routers.values() for path in paths]):
        for letter, paths in zip("ek", routers.values()):
            gather(paths, Namespace(letter))
        for count, title in in_turns("figure6", COUNTS, routers):
            several = Several(routers[title][:count], directory)
            shares, rate = max((measure(several, rate) for rate in RATES), key=lambda measured: sum(measured[0]))
            yield dict(contender=title, vrs=count, aggregate=sum(shares), average=sum(shares) / count, jain=jain(shares), offered=rate)


def measure(several, rate):
    with background(several, rate):
        return several.rates(), rate


@figure("figure7b", "Figure 7b: TCP through one to ten routers", ["contender", "vrs"], ["gbps", "retransmits", "sender", "receiver"],
        "set xlabel 'routers'\nset ylabel 'Gbit/s'\nset yrange [0:]\nplot " + lines(SHARERS, "vrs", "gbps"),
        """iperf3 over veth, one stream through each router at the same time, offloads as Linux sets them, nothing pinned; what they carry together.
        sender and receiver: CPU in percent of one, of all clients and of all servers.""")
def figure7b():
    routers = ten_of_each()
    with bench.iperf_servers([path for paths in routers.values() for path in paths]):
        for count, title in in_turns("figure7b", COUNTS, routers):
            yield dict(contender=title, vrs=count) | bench.iperf(*routers[title][:count])
