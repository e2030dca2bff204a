#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
make figures: Europa's figures, each with its peers in the same run. docs/performance.md has the methods.

    figures.py [--build DIR] [--rounds N] [--seconds S] [FIGURE...]

Of each figure it leaves in BUILD/figures: NAME.csv (medians, with machine, kernel, commit and method above them), NAME-rounds.csv (every
round), NAME.png and NAME.svg. Contenders take turns: round 1 of each, round 2 of each.

A figure is a function that yields rows, under @figure; its first columns say what was measured, the others how much.
"""
import contextlib
import csv
import itertools
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import bench                                                                        # noqa: E402
from bench import BUILD, ROOT, VR, Namespace, note, options, run, wait_for         # noqa: E402

OUTPUT = BUILD / "figures"
PROGRAMS = BUILD / "tests"
every = {}


class Figure:
    def __init__(self, name, title, keys, values, plot, method, measure):
        self.name, self.title, self.keys, self.values = name, title, keys, values
        self.plot, self.method, self.measure = plot, " ".join(method.split()), measure
        self.rounds = []

    def run(self):
        for row in self.measure():
            assert set(row) <= set(self.keys) | set(self.values), row
            self.rounds.append(row)
        if not self.rounds:
            raise RuntimeError("nothing was measured")
        medians = self.medians()
        self.write(f"{self.name}-rounds.csv", self.rounds)
        self.write(f"{self.name}.csv", medians)
        self.print(medians)
        self.draw()

    def medians(self):
        """One row for what has the same keys, in the order in which they first came."""
        alike = {}
        for row in self.rounds:
            alike.setdefault(tuple(row.get(key) for key in self.keys), []).append(row)
        for keys, rows in alike.items():
            values = {v: statistics.median(row[v] for row in rows if v in row) for v in self.values if any(v in row for row in rows)}
            alike[keys] = dict(zip(self.keys, keys)) | values
        return list(alike.values())

    def write(self, name, rows):
        OUTPUT.mkdir(parents=True, exist_ok=True)
        m = bench.machine()
        with open(OUTPUT / name, "w", newline="") as file:
            file.write(f"# {self.title}\n# machine: {m['cpus']} x {m['cpu']}; kernel {m['kernel']}; commit {m['commit']}; {m['date']}; "
                       f"load {m['load']}\n# method: {self.method}\n")
            table = csv.DictWriter(file, [*self.keys, *self.values], restval="", lineterminator="\n")
            table.writeheader()
            for row in rows:
                table.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()})

    def print(self, rows):
        columns = [*self.keys, *self.values]
        print(f"## {self.title}\n\n| {' | '.join(columns)} |\n|{'---|' * len(self.keys)}{'---:|' * len(self.values)}")
        for row in rows:
            print("| " + " | ".join(f"{row[c]:.4g}" if isinstance(row.get(c), float) else str(row.get(c, "-")) for c in columns) + " |")
        print(flush=True)

    def draw(self):
        if not shutil.which("gnuplot"):
            note(f"{self.name}: no pictures, for gnuplot is not installed")
            return
        title = self.title.replace("'", "''")
        for terminal in ("pngcairo size 900,540 font 'sans,11'", "svg size 900,540 font 'sans,13' background 'white'"):
            kind = "svg" if terminal.startswith("svg") else "png"
            script = (f"set terminal {terminal} noenhanced\nset output '{OUTPUT}/{self.name}.{kind}'\nset title '{title}'\n"
                      f"set datafile separator comma\nset datafile missing NaN\n"
                      f"set grid\nset key outside bottom center horizontal\nfile = '{OUTPUT}/{self.name}.csv'\n"
                      f"series(key, value, y) = strcol(key) eq value ? column(y) : NaN\n{self.plot}\n")
            subprocess.run(["gnuplot"], input=script, text=True, check=True)


def figure(name, title, keys, values, plot, method):
    """plot: gnuplot, in which `file` is the CSV and series("contender", "x", "y") one contender's column."""
    def register(measure):
        every[name] = Figure(name, title, keys, values, plot, method, measure)
        return measure
    return register


def in_turns(what, *choices):
    """Every combination of the choices, and the whole of it once a round."""
    for number in range(options.rounds):
        note(f"{what}: round {number + 1} of {options.rounds}")
        yield from itertools.product(*choices)


def lines(contenders, x, y, title="", style="lw 2"):
    """For gnuplot's plot: one line with points a contender."""
    return ", ".join(f"file using \"{x}\":(series('contender', '{c}', '{y}')) with linespoints {style} title '{title}{c}'" for c in contenders)


# ---- parts that several figures are made of ----

def latency(path, rate, seconds=None, port=9):
    """What tests/latency says about the way from path.gen to path.sink, by name."""
    words = path.gen.run(PROGRAMS / "latency", "--from", f"{path.gen.name}:{path.left}", "--to", f"{path.sink.name}:{path.right}", "--mac", path.mac,
                         "--dst", "10.0.1.2", "--rate", rate, "--seconds", seconds or options.seconds, "--port", port).split()
    said = dict(zip(words[::2], map(float, words[1::2])))
    return dict(loss=100 * said["lost"] / said["sent"], p50=said["p50"], p90=said["p90"], p99=said["p99"], p999=said["p999"])


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


def packets(vr, key="tx_packets"):
    return sum(vnic[key] for vnic in vr.stat()["vnics"])


def rates(vrs, key="tx_packets"):
    """Packets/s of each VR over the same time."""
    before, start = [packets(vr, key) for vr in vrs], time.monotonic()
    time.sleep(options.seconds)
    after, elapsed = [packets(vr, key) for vr in vrs], time.monotonic() - start
    return [(b - a) / elapsed for a, b in zip(before, after)]


def jain(shares):
    """Jain's index: 1 where all have the same, 1/n where one has all."""
    return sum(shares) ** 2 / (len(shares) * sum(s * s for s in shares))


GENERATORS = ("--vnics", "2", "--link", "0=generator:size=64", "--link", "1=generator:size=64")


# ---- wake-ups ----

CONTENDERS = ["ipfwd on europad", "recvfrom/send forwarder", "Linux ip_forward"]


@figure("wakeup", "How long a packet takes, by how seldom packets come", ["contender", "rate"], ["p50", "p90", "p99", "loss"],
        "set logscale xy\nset xlabel 'packets/s'\nset ylabel 'microseconds'\nplot " + lines(CONTENDERS, "rate", "p50") + ", " +
        lines(CONTENDERS, "rate", "p99", "p99 ", "dt 2"),
        """UDP over veth through each router; from the send call to the kernel's time stamp at the other end. At 20 packets/s each packet finds
        everybody asleep: the first packet after a pause, and what a wake-up costs. Nothing is pinned.""")
def wakeup():
    paths = [bench.EuropaRouter(), bench.SocketRouter(), bench.KernelRouter()]
    for rate, path in in_turns("wakeup", [20, 200, 2000, 20000], paths):
        yield dict(contender=path.title, rate=rate) | pick(latency(path, rate, max(options.seconds, 40 / rate)), "p50", "p90", "p99", "loss")


def pick(values, *names):
    return {name: values[name] for name in names}


@figure("load", "How long a packet takes beside 10, 50 and 90 % of what gets through", ["contender", "load"], ["p50", "p99", "p999", "loss"],
        "set logscale y\nset xlabel 'load, percent of the most that gets through'\nset ylabel 'microseconds'\nplot "
        + lines(CONTENDERS, "load", "p50") + ", " + lines(CONTENDERS, "load", "p99", "p99 ", "dt 2"),
        """As figure 5a: 64-byte UDP, everything that routes on one CPU. In each round first the most that gets through each router is looked for,
        then shares of that are offered, and beside them a probe of 500 packets/s takes the time.""")
def load():
    paths = [bench.EuropaRouter(), bench.SocketRouter(), bench.KernelRouter()]
    with on_one_cpu(paths):
        for (path,) in in_turns("load", paths):
            most, _, _ = bench.best_of(path)
            for share in (10, 50, 90):
                with background(path, most * share / 100):
                    yield dict(contender=path.title, load=share) | pick(latency(path, 500, port=10), "p50", "p99", "p999", "loss")


@contextlib.contextmanager
def background(path, rate):
    generator = path.gen.popen(PROGRAMS / "udpgen", "--device", path.left, "--to", path.mac, "--dst", "10.0.1.2", "--xdp", "--cpu",
                               bench.GENERATOR_CPU, "--seconds", 3600, "--rate", int(rate))
    try:
        time.sleep(0.2)
        yield
    finally:
        generator.terminate()
        generator.wait()


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


# ---- quotas ----

@figure("quota", "Throughput under a quota, against that of a whole CPU", ["contender", "quota"], ["pps", "share", "cpu"],
        "set xlabel 'quota, percent of a CPU'\nset ylabel 'share of the throughput without a quota'\nset yrange [0:1.1]\n"
        "plot " + lines(["nullfwd"], "quota", "share") + ", x / 100 with lines dt 2 title 'in proportion'",
        """nullfwd between two generator ports of europad, 64 bytes, europad on CPU 0, nullfwd on CPU 1; the same VR under one quota after the
        other by europa-update, in turns. share: of what it did at 100 % in the same round.""")
def quota():
    vr = VR(ROOT / "image/nullfwd", *GENERATORS)
    bench.pin(bench.switch_pids(), 0)
    bench.pin(vr.pids(), 1)
    whole = 1
    for (percent,) in in_turns("quota", [100, 75, 50, 25, 10]):
        run(BUILD / "bin/europa-update", "--cpu", f"{percent}%", vr.name)
        time.sleep(0.2)
        used, start = bench.sum_runtime(vr.pids()), time.monotonic()
        (pps,) = rates([vr])
        cpu = 100 * (bench.sum_runtime(vr.pids()) - used) / (time.monotonic() - start)
        whole = pps if percent == 100 else whole
        yield dict(contender="nullfwd", quota=percent, pps=pps, share=pps / whole, cpu=cpu)


PERIODS = [5, 10, 20, 50, 100]
QUOTAS = [10, 25, 50]


@figure("periods", "Quota and period: the 99th percentile of a packet's time", ["quota", "period"], ["p50", "p99", "loss", "throttled"],
        "set logscale xy\nset xlabel 'period, ms'\nset ylabel 'microseconds'\nplot " + ", ".join(
            f"file using \"period\":(column('quota') == {q} ? column('p99') : NaN) with linespoints lw 2 title '{q} %'" for q in QUOTAS),
        """ipfwd on europad over veth. Beside it in the same VR's control group a process spins, so that the quota is always used up; a probe of
        1000 packets/s counts its losses and its time. throttled: the share of the time for which the VR was stopped.""")
def periods():
    path = bench.EuropaRouter()
    vr = path.vr
    spin = subprocess.Popen(["sh", "-c", "while :; do :; done"], stdin=subprocess.DEVNULL)
    try:
        join_group(vr, spin.pid)
        for percent, period in in_turns("periods", QUOTAS, PERIODS):
            if percent * period < 100:                  # the kernel gives no quota below a millisecond
                continue
            run(BUILD / "bin/europa-update", "--cpu", f"{percent}%", "--cpu-period", f"{period}ms", vr.name)
            time.sleep(0.2)
            before, start = vr.stat()["cpu"]["throttled_usec"], time.monotonic()
            figures = latency(path, 1000, max(1, options.seconds))
            stopped = (vr.stat()["cpu"]["throttled_usec"] - before) / (time.monotonic() - start) / 1e4
            yield dict(quota=percent, period=period, throttled=stopped) | pick(figures, "p50", "p99", "loss")
    finally:
        spin.kill()
        spin.wait()


def join_group(vr, pid):
    """The process into the VR's group of the hierarchy that holds the quota."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        directory = Path(line.split()[1], "europa", vr.name)
        if (directory / "cpu.cfs_quota_us").exists() or (directory / "cpu.max").exists():
            (directory / "cgroup.procs").write_text(str(pid))
            return
    raise RuntimeError("no control group with a quota")


# ---- isolation ----

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


@figure("fairness", "Figure 6: one to ten VRs, all of them overloaded", ["vrs"], ["aggregate", "average", "jain"],
        "set xlabel 'VRs'\nset ylabel 'million packets/s'\nset yrange [0:]\n"
        "plot file using \"vrs\":(column('aggregate') / 1e6) with linespoints lw 2 title 'all together', "
        "file using \"vrs\":(column('average') / 1e6) with linespoints lw 2 title 'each'",
        """One to ten times nullfwd between two generator ports of one europad, which has more for each than it can take: what all of
        them forward, and Jain's index of their shares. Nothing is pinned.""")
def fairness():
    vrs = []
    for count in (1, 2, 4, 7, 10):
        while len(vrs) < count:
            vrs.append(VR(ROOT / "image/nullfwd", *GENERATORS))
        time.sleep(0.3)
        for number in range(options.rounds):
            note(f"fairness: {count} VRs, round {number + 1} of {options.rounds}")
            shares = rates(vrs)
            yield dict(vrs=count, aggregate=sum(shares), average=sum(shares) / count, jain=jain(shares))


# ---- the paper's ----

@figure("table1", "Table 1: cycles to copy a packet", ["bytes"], ["hot", "cold"],
        "set xlabel 'bytes'\nset ylabel 'TSC cycles'\nset yrange [0:]\nplot file using \"bytes\":\"hot\" with linespoints lw 2 title 'in the cache', "
        "file using \"bytes\":\"cold\" with linespoints lw 2 title 'not in the cache'",
        """memcpy of one packet between two buffers that are in the first-level cache, and between places in 256 MB taken in random order.""")
def table1():
    for number in range(options.rounds):
        note(f"table1: round {number + 1} of {options.rounds}")
        for line in run(PROGRAMS / "cycles", "copy").splitlines():
            size, hot, cold = line.split()
            yield dict(bytes=int(size), hot=float(hot), cold=float(cold))


@figure("table2", "Table 2: cycles of the calls that the shared memory does without", ["call", "bytes"], ["cycles"],
        "set style data histograms\nset style fill solid 0.7\nset ylabel 'TSC cycles'\nset logscale y\nset yrange [1:]\nset xtics rotate by -20\n"
        "plot file using \"cycles\":xtic(sprintf('%s %s', strcol('call'), strcol('bytes'))) notitle",
        """One send and one recvfrom of a packet socket on a veth pair, each call by itself; beside them the same hand-over between a VR and its
        switch: europa_rx and europa_tx of one packet, and of 32 at once.""")
def table2():
    net = Namespace("c")
    net.run("ip", "link", "add", "c0", "type", "veth", "peer", "name", "c1")
    for device in ("c0", "c1"):
        net.run("ip", "link", "set", device, "up")
    for number in range(options.rounds):
        note(f"table2: round {number + 1} of {options.rounds}")
        for line in net.run(PROGRAMS / "cycles", "calls", "c0", "c1").splitlines():
            call, size, cycles = line.rsplit(maxsplit=2)
            yield dict(call=call, bytes=int(size), cycles=float(cycles))


@contextlib.contextmanager
def on_one_cpu(paths):
    """The way in which 64-byte UDP is measured: everything that routes on one CPU, and a sink that drops, but not what `latency` sends."""
    with tempfile.TemporaryDirectory() as directory:
        run("mount", "-t", "bpf", "bpf", directory)
        try:
            run(PROGRAMS / "udpgen", "--pin-drop", f"{directory}/drop")
            for path in paths:
                path.steer()
                path.drop_at_the_sink(f"{directory}/drop")
            yield
        finally:
            run("umount", directory)


@figure("figure5a", "Figure 5a: forwarded against offered, 64 bytes", ["contender", "offered"], ["pps", "cpu"],
        "set xlabel 'offered, thousand packets/s'\nset ylabel 'forwarded, thousand packets/s'\nplot " + ", ".join(
            f"file using (column('offered') / 1e3):(series('contender', '{c}', 'pps') / 1e3) with linespoints lw 2 title '{c}'" for c in CONTENDERS),
        """UDP over veth, small tables, everything that routes on one CPU, the generator on the other: as in "64-byte UDP over veth".""")
def figure5a():
    paths = [bench.EuropaRouter(), bench.SocketRouter(), bench.KernelRouter()]
    with on_one_cpu(paths):
        for rate, path in in_turns("figure5a", bench.RATES, paths):
            pps, used = bench.offer(path, rate)
            yield dict(contender=path.title, offered=rate, pps=pps, cpu=100 * sum(used.values()))


@figure("figure7a", "Figure 7a: TCP through one router", ["contender"], ["gbps", "retransmits", "sender", "receiver"],
        "set style data histograms\nset style fill solid 0.7\nset ylabel 'Gbit/s'\nset yrange [0:]\nplot file using \"gbps\":xtic(1) notitle",
        """iperf3 over veth, one stream, offloads as Linux sets them, nothing pinned; sender and receiver: their CPU in percent.""")
def figure7a():
    paths = [bench.EuropaRouter(), bench.KernelRouter()]
    servers = [path.sink.popen("iperf3", "--server") for path in paths]
    try:
        for path in paths:
            wait_for(lambda: ":5201" in path.sink.run("ss", "-Hltn"), "iperf3")
        for (path,) in in_turns("figure7a", paths):
            end = json.loads(path.gen.run("iperf3", "--client", "10.0.1.2", "--time", max(2, options.seconds), "--omit", "1", "--json"))["end"]
            yield dict(contender=path.title, gbps=end["sum_received"]["bits_per_second"] / 1e9, retransmits=end["sum_sent"]["retransmits"],
                       sender=end["cpu_utilization_percent"]["host_total"], receiver=end["cpu_utilization_percent"]["remote_total"])
    finally:
        for server in servers:
            server.kill()
            server.wait()


POOLS = [4, 8, 16, 32, 64, 128, 256]


@figure("figure8", "Figure 8: UDP and the size of the packet pool", ["slots"], ["pps"],
        "set logscale x 2\nset xlabel 'slots'\nset ylabel 'thousand packets/s'\nset yrange [0:]\nplot file using \"slots\":(column('pps') / 1e3) with"
        " linespoints lw 2 notitle",
        """ipfwd on europad over veth as in figure 5a, 400,000 packets/s of 64 bytes offered, each time with another pool, without super-packets.""")
def figure8():
    for (slots,) in in_turns("figure8", POOLS):
        path = bench.EuropaRouter("--pool", slots, "--runs", "0")
        with on_one_cpu([path]):
            pps, _ = bench.offer(path, 400_000)
            yield dict(slots=slots, pps=pps)
        bench.clean_up_paths()


# ---- all of it ----

def main():
    for name in options.sections:
        if name not in every:
            bench.parser.error(f"figure \"{name}\": expected one of {', '.join(every)}")
    failed = 0
    for name in options.sections or every:
        try:
            every[name].run()
        except Exception as error:                      # the other figures are still worth having
            print(f"## {name}\n\nnot measured: {error}\n", flush=True)
            failed = 1
        bench.clean_up_paths()
    return failed


if __name__ == "__main__":
    bench.run_all(main)
