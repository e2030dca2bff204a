#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
make bench: what Europa costs, beside what others cost, in one run. docs/performance.md has the method.

    bench.py [--build DIR] [--rounds N] [--seconds S] [--slower N] [SECTION...]

Sections: forward tcp handoff idle start takeover checkpoint. Contenders are interleaved: round 1 of each, round 2 of each, ... Results go to
BUILD/bench/SECTION.json, and as Markdown to stdout. What can't be measured here is printed as that, with the reason.
"""
import argparse
import contextlib
import ctypes
import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
libc = ctypes.CDLL(None, use_errno=True)

parser = argparse.ArgumentParser()
parser.add_argument("--build", default="build")
parser.add_argument("--rounds", type=int, default=7)
parser.add_argument("--seconds", type=float, default=1.0)
parser.add_argument("--slower", type=int, default=1, help="than a server, N times: of all rates the N-th part is offered")
parser.add_argument("--out", type=Path, help="where figures go, instead of BUILD/figures")
parser.add_argument("sections", nargs="*", default=[])
options = parser.parse_args()
BUILD = ROOT / options.build
RESULTS = BUILD / "bench"
RUN_DIR = Path(tempfile.mkdtemp(prefix="europa-bench."))
STEM = f"b{os.getpid() % 100000}"
ENV = dict(os.environ, EUROPA_RUN_DIR=str(RUN_DIR), PATH=f"{BUILD}/bin:{os.environ['PATH']}", LC_ALL="C.UTF-8")
GENERATOR_CPU, ROUTER_CPU = 0, 1
ON_MODULE = Path("/dev/europa").exists()                # europa-run takes it then, too
SWITCH = "EuropaKM" if ON_MODULE else "europad"
GEN_MAC, SINK_MAC = "02:00:00:00:00:0a", "02:00:00:00:00:0b"


# ---- running things ----

def run(*argv, check=True, **kwargs):
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, env=ENV, stdin=subprocess.DEVNULL, **kwargs)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(map(str, argv))}: exit status {done.returncode}: {(done.stdout + done.stderr).strip()[-500:]}")
    return done.stdout


def wait_for(condition, what, seconds=20):
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(OSError, KeyError, ValueError, RuntimeError):
            if value := condition():
                return value
        if time.monotonic() > deadline:
            raise RuntimeError(f"gave up waiting for {what}")
        time.sleep(0.02)


def note(text):
    print(text, file=sys.stderr, flush=True)


class Namespace:
    """A network namespace, and a process that keeps its counters readable at /proc/PID/net/dev."""
    every = []

    def __init__(self, name):
        self.name, self.processes = f"{STEM}{name}", []
        run("ip", "netns", "add", self.name)
        self.path = f"/run/netns/{self.name}"
        self.holder = subprocess.Popen(["nsenter", f"--net={self.path}", "sleep", "infinity"])
        Namespace.every.append(self)
        self.run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1")
        self.run("ip", "link", "set", "lo", "up")

    def argv(self, *argv):
        return ["nsenter", f"--net={self.path}", "--", *map(str, argv)]

    def run(self, *argv, **kwargs):
        return run(*self.argv(*argv), **kwargs)

    def popen(self, *argv, **kwargs):
        kwargs = dict(stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) | kwargs
        self.processes.append(subprocess.Popen(self.argv(*argv), text=True, env=ENV, **kwargs))
        return self.processes[-1]

    def counters(self, device):
        for line in Path(f"/proc/{self.holder.pid}/net/dev").read_text().splitlines():
            name, _, counters = line.partition(":")
            if name.strip() == device:
                return [int(counter) for counter in counters.split()]
        raise KeyError(device)

    def received(self, device):
        return self.counters(device)[1]

    def sent(self, device):
        """With what the other end had no room for."""
        counters = self.counters(device)
        return counters[9] + counters[11]

    def mac(self, device):
        return json.loads(self.run("ip", "-j", "link", "show", device))[0]["address"]

    def take(self, device, address, gateway):
        self.run("ip", "address", "add", address, "dev", device)
        self.run("ip", "link", "set", device, "up")
        self.run("ip", "route", "add", "default", "via", gateway)

    def remove(self):
        for process in self.processes:
            end(process)
        self.holder.kill()
        self.holder.wait()
        run("ip", "netns", "del", self.name, check=False)


def like_a_nic(net, device):
    """
    The device gets its packets as from a NIC whose interrupts are the router CPU's business: NAPI in a thread of its own, pinned
    there. net: path of a network namespace. Returns who works for it: this thread, and the one to which that CPU's softirqs are put off.
    """
    run("nsenter", f"--net={net}", "ethtool", "-K", device, "gro", "on")
    run("nsenter", f"--net={net}", "unshare", "-m", "sh", "-c", f"mount -t sysfs sysfs /sys && echo 1 >/sys/class/net/{device}/threaded")
    # The thread's name is cut at 15 characters, so several devices may look alike: the newest is this one's.
    threads = [pid for pid in processes() if name_of(pid).startswith(f"napi/{device}"[:14])]
    pin([max(threads)], ROUTER_CPU)
    os.setpriority(os.PRIO_PROCESS, max(threads), -20)
    return [max(threads), *softirq_threads(ROUTER_CPU)]


# ---- processes and the CPU that they use ----

def end(process):
    """Gently, for some have to tidy up, and some rest."""
    process.terminate()
    process.send_signal(signal.SIGCONT)
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def processes():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def name_of(pid):
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


def threads(pids):
    return [int(thread) for pid in pids for thread in os.listdir(f"/proc/{pid}/task")]


def pin(pids, *cpus):
    pin_threads(threads(pids), *cpus)


def pin_threads(tids, *cpus):
    for tid in tids:
        os.sched_setaffinity(tid, cpus)


nice_before, weights_before = {}, {}


def above_other_load():
    """
    All parties run at nice -20, so that what else the machine does gets next to nothing, and they share among each other as before. The threads
    to which softirqs are put off are parties: while one of them waits for the CPU, Linux 6.1 leaves it everything that was sent to a veth, by
    whomever, and beside the others it would wait for ever at nice 0.
    """
    os.setpriority(os.PRIO_PROCESS, 0, -20)
    session = Path("/proc/self/autogroup")      # which is also that of whoever typed `make bench`
    with contextlib.suppress(OSError):
        weights_before[session] = session.read_text().split()[-1]
    lift_session(os.getpid())
    for pid in softirq_threads():
        nice_before[pid] = os.getpriority(os.PRIO_PROCESS, pid)
        os.setpriority(os.PRIO_PROCESS, pid, -20)


def softirq_threads(*cpus):
    """Those of these CPUs, or of all."""
    names = [f"ksoftirqd/{cpu}" for cpu in cpus or range(os.cpu_count())]
    return [pid for pid in processes() if name_of(pid) in names]


def lift_session(pid):
    """Where the kernel schedules sessions against each other, a session has a nice value of its own."""
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text("-20")


def weigh_group(name):
    """
    A control group competes as a whole, and so does the one above it: both get the weight of one process at nice -20. The one above outlives the
    measurement, and gets its own weight back.
    """
    for line in Path("/proc/self/mounts").read_text().splitlines():
        for file, weight in (("cpu.shares", 88761), ("cpu.weight", 8876)):
            above = Path(line.split()[1], "europa", file)
            for path in (above, above.parent / name / file):
                if not path.exists():
                    continue
                if path == above:
                    weights_before.setdefault(path, path.read_text())
                path.write_text(str(weight))


def weigh_as_before():
    for path, weight in weights_before.items():
        with contextlib.suppress(OSError):
            path.write_text(weight)
    for pid, nice in nice_before.items():
        os.setpriority(os.PRIO_PROCESS, pid, nice)


def sum_runtime(pids):
    """Seconds on a CPU from schedstat, which counts nanoseconds where /proc/PID/stat counts ticks."""
    total = 0
    for pid in pids:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError):
                total += int(Path(f"/proc/{pid}/task/{thread}/schedstat").read_text().split()[0])
    return total / 1e9


def tsc_hz():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("cpu MHz"):
            return float(line.split(":")[1]) * 1e6
    return 0


# ---- Europa ----

class VR:
    every = []

    def __init__(self, image, *opts, args=(), within=None):
        """within: the namespace in which its shared devices are."""
        number, letters = len(VR.every), "abcdefghijklmnopqrstuvwxyz"
        self.name = f"{STEM}{letters[number // 26 - 1] if number >= 26 else ''}{letters[number % 26]}"
        VR.every.append(self)
        command = [BUILD / "bin/europa-run", "--detach", "--name", self.name, *opts, image, *(["--", *args] if args else [])]
        run(*(within.argv(*command) if within else command))
        self.state = wait_for(lambda: self.read_state(), f"{self.name} to run")
        weigh_group(self.name)
        for pid in switch_pids():
            lift_session(pid)

    def read_state(self):
        state = json.loads((RUN_DIR / self.name / "state.json").read_text())
        return state if state["status"] == "running" else None

    def stat(self):
        return json.loads(run(BUILD / "bin/europa-stat", "--format", "json", self.name))[0]

    def pids(self):
        """The data plane and process 1."""
        found = set()
        for line in Path("/proc/self/mounts").read_text().splitlines():
            if line.split()[2] in ("cgroup", "cgroup2"):
                with contextlib.suppress(OSError):
                    found |= {int(p) for p in Path(line.split()[1], "europa", self.name, "cgroup.procs").read_text().split()}
        return sorted(found)

    def kill(self):
        run(BUILD / "bin/europa-kill", "--time", "0", self.name, check=False)
        VR.every[VR.every.index(self)] = None

    @staticmethod
    def kill_all():
        for vr in VR.every:
            if vr:
                run(BUILD / "bin/europa-kill", "--time", "0", vr.name, check=False)
        VR.every[:] = []


def switch_pids():
    found = []
    for pid in processes():
        if name_of(pid) == "europad":
            with contextlib.suppress(OSError):
                if f"EUROPA_RUN_DIR={RUN_DIR}".encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                    found.append(pid)
    return found


def switch_netns():
    """europad keeps its ends of the devices in a namespace of its own, where one of its threads lives."""
    (pid,) = switch_pids()
    home = os.readlink("/proc/self/ns/net")
    for thread in os.listdir(f"/proc/{pid}/task"):
        path = f"/proc/{pid}/task/{thread}/ns/net"
        if os.readlink(path) != home:
            return path
    return f"/proc/{pid}/ns/net"


def switch_device(vr, n):
    """europad's end of a vNIC's device: the peer of the one that has the vNIC's name."""
    net = switch_netns()
    links = json.loads(run("nsenter", f"--net={net}", "ip", "-j", "link"))
    alike = [link["ifname"] for link in links if f"{vr.name}" in link["ifname"] and link["ifname"].rstrip("sp").endswith(str(n))]
    if not alike:
        index = json.loads(run("ip", "-j", "link", "show", f"{vr.name}-v{n}"))[0]["link_index"]
        alike = [link["ifname"] for link in links if link["ifindex"] == index]
    return net, alike[0]


# ---- figures ----

class Figures:
    """What was measured in each round, by contender and quantity."""

    def __init__(self, section):
        self.section, self.rounds, self.notes = section, {}, []

    def add(self, contender, **values):
        for quantity, value in values.items():
            self.rounds.setdefault(contender, {}).setdefault(quantity, []).append(value)

    def median(self, contender, quantity):
        values = self.rounds.get(contender, {}).get(quantity)
        return statistics.median(values) if values else None

    def cell(self, contender, quantity, scale=1, digits=0):
        values = self.rounds.get(contender, {}).get(quantity)
        if not values:
            return "-"
        low, mid, high = (f"{v / scale:.{digits}f}" for v in (min(values), statistics.median(values), max(values)))
        return f"{mid} ({low}..{high})"

    def ratio(self, one, other, quantity):
        if not self.median(one, quantity) or not self.median(other, quantity):
            return None
        return self.median(one, quantity) / self.median(other, quantity)

    def cannot(self, what, why):
        self.notes.append(f"{what}: not measured: {why}")

    def table(self, *columns):
        """columns: (heading, quantity, scale, digits)."""
        print("| |" + "".join(f" {heading} |" for heading, *_ in columns))
        print("|---|" + "---:|" * len(columns))
        for contender in self.rounds:
            print(f"| {contender} |" + "".join(f" {self.cell(contender, *rest)} |" for _, *rest in columns))
        for line in self.notes:
            print(f"\n{line}")
        print(flush=True)

    def save(self):
        RESULTS.mkdir(parents=True, exist_ok=True)
        (RESULTS / f"{self.section}.json").write_text(json.dumps(
            {"machine": machine(), "rounds": self.rounds, "notes": self.notes,
             "medians": {c: {q: statistics.median(v) for q, v in qs.items()} for c, qs in self.rounds.items()}}, indent=1))


def machine():
    model = next((line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), "?")
    commit = run("git", "-C", ROOT, "rev-parse", "--short", "HEAD", check=False).strip() or "?"
    dirty = "+" if run("git", "-C", ROOT, "status", "--porcelain", "-uno", check=False).strip() else ""
    return {"cpu": model, "cpus": os.cpu_count(), "kernel": platform.release(), "commit": commit + dirty,
            "date": time.strftime("%Y-%m-%d %H:%M"), "load": round(os.getloadavg()[0], 2)}


# ---- forwarding over veth ----

class Path3:
    """gen --- router --- sink: a contender's own three namespaces."""
    targets = None                          # a file of them for udpgen, instead of the one address in the sink's network
    parties = {}                            # who uses CPU for it, once everything that routes is on one

    def __init__(self, letter, router=True):
        self.gen, self.sink = Namespace(letter + "g"), Namespace(letter + "s")
        self.router = Namespace(letter + "r") if router else None

    def generate(self, rate, seconds=3600):
        """A generator of so many packets/s (None: as many as it can), as a process that has begun to send."""
        self.take_turn()
        before = self.sent()
        generator = self.gen.popen(BUILD / "tests/udpgen", "--device", self.left, "--to", self.mac, "--dst", "10.0.1.2", "--xdp", "--cpu",
                                   GENERATOR_CPU, "--seconds", seconds, *(["--rate", int(rate)] if rate else []),
                                   *(["--targets", self.targets] if self.targets else []))
        wait_for(lambda: generator.poll() is not None or self.sent() > before, "the generator to send")
        if generator.returncode:
            raise RuntimeError(f"the generator ended with exit status {generator.returncode}")
        return generator

    at_work = None

    def take_turn(self):
        """Who polls without pause would have the others' CPU too, so whose turn it isn't rests."""
        if Path3.at_work is not self:
            if Path3.at_work:
                Path3.at_work.rest()
            Path3.at_work = self
            self.resume()

    def rest(self):
        pass

    def resume(self):
        pass

    def sent(self):
        return self.gen.sent(self.left)

    def received(self):
        return self.sink.received(self.right)

    def trial(self, rate):
        """Offers so many packets/s for a while, and says how many were offered and how many of them came through."""
        sent, received = self.sent(), self.received()
        generator = self.generate(rate, options.seconds)
        try:
            generator.wait(options.seconds + 30)
        finally:
            end(generator)
        time.sleep(0.1)                     # for those that are still on their way
        return self.sent() - sent, self.received() - received

    def wire(self, addresses=("10.0.0.1/24", "10.0.1.1/24")):
        """Two veth pairs through the router's namespace."""
        self.router.run("ip", "link", "add", "in", "type", "veth", "peer", "name", "out0", "netns", self.gen.name)
        self.router.run("ip", "link", "add", "out", "type", "veth", "peer", "name", "in0", "netns", self.sink.name)
        for device in ("in", "out"):
            self.router.run("ip", "link", "set", device, "up")
        for device, address in zip(("in", "out"), addresses):
            self.router.run("ip", "address", "add", address, "dev", device)
        self.left, self.right = "out0", "in0"
        self.gen.take(self.left, "10.0.0.2/24", "10.0.0.1")
        self.sink.take(self.right, "10.0.1.2/24", "10.0.1.1")

    def first_hop(self):
        self.gen.run("ping", "-q", "-c", "1", "-W", "5", "10.0.1.2")
        return json.loads(self.gen.run("ip", "-j", "neigh", "show", "10.0.0.1"))[0]["lladdr"]

    def drop_at_the_sink(self, pinned):
        self.sink.run("tc", "qdisc", "add", "dev", self.right, "clsact")
        self.sink.run("tc", "filter", "add", "dev", self.right, "ingress", "bpf", "da", "object-pinned", pinned)


class KernelRouter(Path3):
    title = "Linux ip_forward"

    def __init__(self, letter="k"):
        super().__init__(letter)
        self.wire()
        self.router.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
        self.mac = self.first_hop()

    def steer(self):
        # No expiry in the middle of a round: the sink drops what would refresh it.
        self.router.run("ip", "neigh", "replace", "10.0.1.2", "lladdr", self.sink.mac(self.right), "dev", "out")
        self.parties = {"router": like_a_nic(self.router.path, "in")}

    def nic_thread(self):
        return self.parties["router"][0]


class ProgramRouter(Path3):
    """Devices without addresses, between which a program forwards."""

    def __init__(self, letter):
        super().__init__(letter)
        self.wire(addresses=())
        self.mac = self.router.mac("in")
        self.process = self.start()

    def steer(self):
        pin([self.process.pid], ROUTER_CPU)
        self.parties = {"router": [self.process.pid], "nic": like_a_nic(self.router.path, "in")}


class SocketRouter(ProgramRouter):
    title = "recvfrom/send forwarder"

    def __init__(self, letter="p"):
        super().__init__(letter)

    def start(self):
        return self.router.popen(BUILD / "tests/recvfrom_fwd", "in", "out", self.sink.mac(self.right))


class SuperSocketRouter(ProgramRouter):
    title = "recv/send forwarder of super-packets"

    def __init__(self, letter="s"):
        super().__init__(letter)
        # Nobody answers for the router's addresses.
        for host, device, address, side in ((self.gen, self.left, "10.0.0.1", "in"), (self.sink, self.right, "10.0.1.1", "out")):
            host.run("ip", "neigh", "replace", address, "lladdr", self.router.mac(side), "dev", device)

    def start(self):
        return self.router.popen(BUILD / "tests/super_fwd", "in", self.gen.mac(self.left), "out", self.sink.mac(self.right))


class EuropaRouter(Path3):
    """
    Between the vNICs' own devices on europad, whose ends are veth. The module's own devices have no such end: a frame that is sent to them is
    in the VR's ring at once, on the sender's CPU. There it has what ip_forward has, two veth pairs, and shares the router's ends.
    """
    title = f"ipfwd on {SWITCH}"

    def __init__(self, *vr_options, letter="e"):
        super().__init__(letter, router=ON_MODULE)
        if ON_MODULE:
            self.wire(addresses=())
            self.gen.run("ip", "link", "set", self.left, "address", GEN_MAC)
            self.sink.run("ip", "link", "set", self.right, "address", SINK_MAC)
            vr_options = (*vr_options, "--link", "0=in", "--link", "1=out")
        # As the kernel's: no expiry in the middle of a round, for the sink drops what would refresh it.
        self.vr = VR(ROOT / "image/ipfwd", "--vnics", "2", *vr_options, within=self.router, args=[
            "address", "0", "10.0.0.1/24", "address", "1", "10.0.1.1/24",
            "neighbour", "10.0.0.2", GEN_MAC, "dev", "0", "neighbour", "10.0.1.2", SINK_MAC, "dev", "1"])
        if not ON_MODULE:
            self.give_devices()
        wait_for(lambda: self.gen.run("ping", "-q", "-c", "1", "-W", "1", "10.0.1.2"), "a ping through ipfwd")
        self.mac = self.first_hop()

    def give_devices(self):
        self.left, self.right = f"{self.vr.name}-v0", f"{self.vr.name}-v1"
        self.ends = [switch_device(self.vr, n) for n in (0, 1)]
        run("ip", "link", "set", self.left, "address", GEN_MAC, "netns", self.gen.name)
        run("ip", "link", "set", self.right, "address", SINK_MAC, "netns", self.sink.name)
        self.gen.take(self.left, "10.0.0.2/24", "10.0.0.1")
        self.sink.take(self.right, "10.0.1.2/24", "10.0.1.1")

    def steer(self):
        pin(switch_pids() + self.vr.pids(), ROUTER_CPU)
        net, device = (self.router.path, "in") if ON_MODULE else self.ends[0]
        self.parties = {"switch": switch_pids(), "VR": self.vr.pids(), "nic": like_a_nic(net, device)}

    def nic_thread(self):
        return self.parties["nic"][0]

    def spread(self):
        """The VR may run where the generator leaves room."""
        for pid in self.vr.pids():
            os.sched_setaffinity(pid, set(range(os.cpu_count())))


class EuropaXdpRouter(EuropaRouter):
    """The same, which takes its frames before there is an sk_buff, as testpmd over AF_XDP does; at the same price, for who sends to it."""
    title = f"ipfwd on {SWITCH} by XDP"         # gnuplot takes a comma for the end of a field

    def __init__(self, letter="d"):
        if ON_MODULE:
            raise RuntimeError("the module receives by no socket")
        super().__init__("--link", "0=device:xdp", "--link", "1=device:xdp", letter=letter)


ROUTERS = [EuropaRouter, SocketRouter, KernelRouter]


def slowed(rate):
    """Packets/s where a server is offered so many."""
    return rate // options.slower


RATES = [slowed(1000 * k) for k in (100, 150, 200, 300, 400, 500, 600, 700, 850, 1000, 1200, 1500, 2000, 2500)]


def offer(path, rate):
    """Offers so many packets/s (None: a flood) and returns packets/s that the sink's device counted, and seconds of CPU by party."""
    generator = path.generate(rate)
    try:
        time.sleep(0.2)
        start, packets = time.monotonic(), path.received()
        used = {party: sum_runtime(pids) for party, pids in path.parties.items()}
        time.sleep(options.seconds / 2)
        packets = path.received() - packets
        used = {party: sum_runtime(pids) - used[party] for party, pids in path.parties.items()}
        elapsed = time.monotonic() - start
    finally:
        end(generator)
    return packets / elapsed, {party: seconds / elapsed for party, seconds in used.items()}


def udp_round(figures, path, title):
    """The most that gets through, whatever is offered; and what gets through when far too much is."""
    best, used, rate = best_of(path)
    flood, _ = offer(path, None)
    busy = sum(used.values())
    figures.add(title, pps=best, offered=rate, flood=flood, cpu=100 * busy, cycles=busy * tsc_hz() / max(best, 1),
                **{f"{party} %": 100 * share for party, share in used.items()})


def best_of(path):
    best = (0, {}, 0)
    for rate in RATES:
        pps, used = offer(path, rate)
        if pps > best[0]:
            best = (pps, used, rate)
        elif pps < 0.5 * best[0]:
            break                           # it only gets worse
    return best


@contextlib.contextmanager
def on_one_cpu(paths):
    """The way in which 64-byte UDP is measured: everything that routes on one CPU, and a sink that drops, but not what `latency` sends."""
    with tempfile.TemporaryDirectory() as directory:
        run("mount", "-t", "bpf", "bpf", directory)
        try:
            run(BUILD / "tests/udpgen", "--pin-drop", f"{directory}/drop")
            for path in paths:
                path.steer()
                path.drop_at_the_sink(f"{directory}/drop")
            yield
        finally:
            run("umount", directory)


def forward(paths):
    europa, plain, kernel = paths
    figures = Figures("forward")
    with on_one_cpu(paths):
        for number in range(options.rounds):
            note(f"forward: round {number + 1} of {options.rounds}")
            for path in paths:
                udp_round(figures, path, path.title)
        europa.spread()
        for number in range(options.rounds):
            udp_round(figures, europa, f"{europa.title}, VR on any CPU")
    print("## 64-byte UDP over veth, everything that routes on one CPU\n")
    figures.table(("thousand packets/s", "pps", 1000), ("offered", "offered", 1000), ("in a flood", "flood", 1000), ("CPU %", "cpu"),
                  ("cycles/packet", "cycles"), ("switch %", "switch %"), ("VR %", "VR %"), ("NIC thread %", "nic %"),
                  ("forwarder %", "router %"))
    for other, goal in ((plain, 2.2), (kernel, 0.9)):
        ratio = figures.ratio(europa.title, other.title, "pps")
        print(f"{europa.title} / {other.title}: {ratio:.2f} (to reach: {goal})" if ratio else f"{other.title}: no figure")
    print()
    figures.save()


@contextlib.contextmanager
def iperf_servers(paths):
    servers = [path.sink.popen("iperf3", "--server") for path in paths]
    try:
        for path in paths:
            wait_for(lambda: ":5201" in path.sink.run("ss", "-Hltn"), "iperf3")
        yield
    finally:
        for server in servers:
            end(server)


def iperf(*paths):
    """One stream through each of the paths, all at the same time: Gbit/s of all of them, retransmits, and percent of a CPU at both ends."""
    clients = [path.gen.popen("iperf3", "--client", "10.0.1.2", "--time", max(2, options.seconds), "--omit", "1", "--json", stdout=subprocess.PIPE)
               for path in paths]
    said = [json.loads(client.communicate()[0]) for client in clients]
    if complaints := [one["error"] for one in said if "error" in one]:
        raise RuntimeError(f"iperf3: {complaints[0]}")
    ends = [one["end"] for one in said]
    return dict(gbps=sum(end["sum_received"]["bits_per_second"] for end in ends) / 1e9,
                retransmits=sum(end["sum_sent"]["retransmits"] for end in ends),
                sender=sum(end["cpu_utilization_percent"]["host_total"] for end in ends),
                receiver=sum(end["cpu_utilization_percent"]["remote_total"] for end in ends))


def tcp(paths):
    europa, _, kernel = paths
    figures = Figures("tcp")
    with iperf_servers([europa, kernel]):
        for number in range(options.rounds):
            note(f"tcp: round {number + 1} of {options.rounds}")
            for path in (europa, kernel):
                before = sum_runtime(switch_pids() + europa.vr.pids())
                said = iperf(path)
                used = sum_runtime(switch_pids() + europa.vr.pids()) - before
                figures.add(path.title, **said, **({"europa": 100 * used / (max(2, options.seconds) + 1)} if path is europa else {}))
    print("## TCP over veth, iperf3, one stream, offloads as Linux sets them\n")
    figures.table(("Gbit/s", "gbps", 1, 2), ("retransmits", "retransmits"), ("sender CPU %", "sender"), ("receiver CPU %", "receiver"),
                  ("switch and VR CPU %", "europa"))
    print(f"{europa.title} / {kernel.title}: {figures.ratio(europa.title, kernel.title, 'gbps'):.2f} (to reach: 0.9)\n")
    figures.save()


# ---- the hand-off ----

def number_in(text, *before):
    """The number that stands before one of the words."""
    words = text.replace("\n", " ").split()
    for at, word in enumerate(words):
        if word.rstrip(".,;:") in before and at:
            with contextlib.suppress(ValueError):
                return float(words[at - 1].replace(",", ""))
    return None


def handoff():
    figures = Figures("handoff")
    vr = VR(ROOT / "image/nullfwd", "--vnics", "2", "--link", "0=generator:size=64", "--link", "1=generator:size=64")
    pin(switch_pids(), 0)
    pin(vr.pids(), 1)
    memif = ROOT / "tests/bench/memif.sh"
    pingpong = BUILD / "tests/pingpong"
    for number in range(options.rounds):
        note(f"handoff: round {number + 1} of {options.rounds}")
        if pingpong.exists():
            nanoseconds = number_in(run(pingpong, check=False), "ns", "nanoseconds")
            if nanoseconds:
                figures.add("cache line, one way", ns=nanoseconds)
        before, start = vr.stat()["vnics"], time.monotonic()
        used = sum_runtime(switch_pids() + vr.pids())
        time.sleep(options.seconds)
        after, elapsed = vr.stat()["vnics"], time.monotonic() - start
        used = sum_runtime(switch_pids() + vr.pids()) - used
        packets = sum(b["tx_packets"] - a["tx_packets"] for a, b in zip(before, after))
        figures.add("generator - nullfwd - generator", pps=packets / elapsed, cycles=used * tsc_hz() / max(packets, 1),
                    cpu=100 * used / elapsed)
        # It waits in poll while memif has both CPUs.
        if memif.exists():
            for pid in (frozen := vr.pids() + switch_pids()):
                os.kill(pid, signal.SIGSTOP)
            try:
                out = run("bash", memif, check=False)
                pps = number_in(out, "pps", "packets/s")
                if pps:
                    figures.add("DPDK testpmd macfwd over memif", pps=pps)
                elif number == 0:
                    figures.cannot("DPDK memif", out.strip().splitlines()[-1] if out.strip() else "memif.sh said nothing")
            finally:
                for pid in frozen:
                    os.kill(pid, signal.SIGCONT)
    if not memif.exists():
        figures.cannot("DPDK memif", "tests/bench/memif.sh is missing")
    vr.kill()
    print("## Hand-off without a NIC, 64 bytes, copied in and out, there and back\n")
    figures.table(("million packets/s", "pps", 1e6, 2), ("cycles/packet, both sides", "cycles"), ("CPU %", "cpu"), ("ns", "ns", 1, 1))
    ratio = figures.ratio("generator - nullfwd - generator", "DPDK testpmd macfwd over memif", "pps")
    if ratio:
        print(f"Europa / memif: {ratio:.2f} (to reach: more than 1)\n")
    figures.save()


# ---- idle, start, takeover, checkpoint ----

def idle():
    figures = Figures("idle")
    vr = VR(ROOT / "image/ipfwd", "--vnics", "2")
    time.sleep(1)
    for number in range(options.rounds):
        note(f"idle: round {number + 1} of {options.rounds}")
        before, start = [sum_runtime(switch_pids()), sum_runtime(vr.pids())], time.monotonic()
        time.sleep(2)
        elapsed = time.monotonic() - start
        switch, data_plane = sum_runtime(switch_pids()) - before[0], sum_runtime(vr.pids()) - before[1]
        figures.add("europad and an idle ipfwd", switch=100 * switch / elapsed, vr=100 * data_plane / elapsed,
                    both=100 * (switch + data_plane) / elapsed)
    vr.kill()
    print("## Idle: CPU used with no packets\n")
    figures.table(("europad %", "switch", 1, 3), ("VR %", "vr", 1, 3), ("together % (to reach: below 1)", "both", 1, 3))
    figures.save()


def make_image(directory):
    image = Path(directory) / "exit0"
    for name in ("bin", "dev", "etc", "proc", "sys", "tmp", "run"):
        (image / "rootfs" / name).mkdir(parents=True)
    shutil.copy(BUILD / "tests/exit0", image / "rootfs/bin/exit0")
    namespaces = [{"type": t} for t in ("pid", "network", "ipc", "uts", "mount", "cgroup")]
    (image / "config.json").write_text(json.dumps({
        "ociVersion": "1.0.2", "root": {"path": "rootfs", "readonly": True},
        "process": {"user": {"uid": 0, "gid": 0}, "args": ["/bin/exit0"], "env": ["PATH=/bin"], "cwd": "/", "noNewPrivileges": True},
        "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
        "linux": {"namespaces": namespaces, "resources": {"memory": {"limit": 64 << 20}, "pids": {"limit": 16},
                                                           "cpu": {"quota": 5000, "period": 10000}}}}))
    for path in (Path(directory), image):
        path.chmod(0o755)
    return image


def start():
    figures = Figures("start")
    with tempfile.TemporaryDirectory() as directory:
        image = make_image(directory)
        limits = ["--cpu", "50%", "--memory", "64M", "--pids", "16"]
        europa = [BUILD / "bin/europa-run", "--rm", "--vnics", "0", *limits, image]
        contenders = {
            "europa-run": europa,
            "bwrap": ["bwrap", "--unshare-all", "--ro-bind", image / "rootfs", "/", "--proc", "/proc", "--dev", "/dev", "/bin/exit0"],
            "crun": ["crun", "run", "--bundle", image, f"{STEM}crun"],
        }
        for title, argv in list(contenders.items()):
            try:
                run(*argv)
            except (RuntimeError, FileNotFoundError) as error:
                figures.cannot(title, str(error).strip().splitlines()[-1])
                del contenders[title]
        for number in range(max(40, 8 * options.rounds)):
            if number % 20 == 0:
                note(f"start: round {number + 1}")
            for title, argv in contenders.items():
                begin = time.perf_counter()
                subprocess.run([str(a) for a in argv], env=ENV, stdin=subprocess.DEVNULL, check=True)
                figures.add(title, ms=1000 * (time.perf_counter() - begin))
    print("## A program that exits at once, with all namespaces; europa-run and crun with cpu, memory and pids limits as well\n")
    figures.table(("ms from call to exit (europa-run to reach: 8)", "ms", 1, 1))
    figures.save()


def takeover():
    figures = Figures("takeover")
    vr = VR(ROOT / "image/nullfwd", "--vnics", "2", "--link", "0=generator:size=64", "--link", "1=none")
    for number in range(options.rounds):
        epoch = vr.stat()["switch"]["epoch"]
        (pid,) = wait_for(switch_pids, "europad")
        begin = time.perf_counter()
        os.kill(pid, signal.SIGKILL)

        def taken_over():
            now = vr.stat()["switch"]
            return now["epoch"] == epoch + 1 and now["status"] == "attached"
        wait_for(taken_over, "another europad")
        figures.add("from kill -9 of europad until another serves the VR", ms=1000 * (time.perf_counter() - begin))
    vr.kill()
    print("## europad killed\n")
    figures.table(("ms (to reach: 1000)", "ms", 1, 0))
    figures.save()


def many_routes(path, count):
    """A configuration of ipfwd with so many routes, of /24 networks."""
    with open(path, "w") as out:
        out.write("address 0 10.0.0.1/24\naddress 1 10.0.1.1/24\n")
        for n in range(count):
            out.write(f"route {20 + (n >> 16)}.{n >> 8 & 255}.{n & 255}.0/24 via 10.0.{n & 1}.2\n")
    return path


def checkpoint():
    """Saved and restored, in turns, the next time from what the restore made."""
    figures = Figures("checkpoint")
    with tempfile.TemporaryDirectory() as directory:
        directory = Path(directory)
        routers = {title: VR(ROOT / "image/ipfwd", "--vnics", "2", "--config", many_routes(directory / title.split()[0], count))
                   for title, count in (("2 routes", 0), ("1000000 routes", 1000000))}
        for number in range(options.rounds):
            for title, vr in routers.items():
                saved = directory / f"saved{number}{vr.name}"
                begin = time.perf_counter()
                said = json.loads(run(BUILD / "bin/europa-checkpoint", "--format", "json", vr.name, saved))
                middle = time.perf_counter()
                run(BUILD / "bin/europa-restore", "--detach", saved)
                end = time.perf_counter()
                figures.add(f"ipfwd with {title}", frozen=said["frozen_ms"], checkpoint=1000 * (middle - begin), restore=1000 * (end - middle))
                shutil.rmtree(saved)
        for vr in routers.values():
            vr.kill()
    print("## Checkpoint and restore, warm\n")
    figures.table(("ms for which it stands still (to reach: 100)", "frozen", 1, 0), ("ms of europa-checkpoint", "checkpoint", 1, 0),
                  ("ms of europa-restore", "restore", 1, 0))
    figures.save()


# ---- all of it ----

def clean_up_paths():
    VR.kill_all()
    for namespace in Namespace.every:
        namespace.remove()
    Namespace.every.clear()


def clean_up():
    clean_up_paths()
    weigh_as_before()
    with contextlib.suppress(RuntimeError):
        wait_for(lambda: not switch_pids(), "europad to leave", 10)
    shutil.rmtree(RUN_DIR, ignore_errors=True)


def main():
    every = ["forward", "tcp", "handoff", "idle", "start", "takeover", "checkpoint"]
    # In this order, whatever was asked for first: forward and tcp share their paths.
    for section in options.sections:
        if section not in every:
            parser.error(f"section \"{section}\": expected one of {', '.join(every)}")
    sections = [section for section in every if section in options.sections] or every
    m = machine()
    print(f"# Europa {m['commit']}, {m['date']}\n\n{m['cpus']} x {m['cpu']}, Linux {m['kernel']}, load {m['load']} at the start; "
          f"medians of {options.rounds} rounds, (min..max)\n", flush=True)
    failed = []
    paths = None
    for section in sections:
        try:
            if section in ("forward", "tcp") and paths is None:
                paths = [kind() for kind in ROUTERS]
                if "tcp" in sections:
                    # Before the flood's steering changes the devices.
                    tcp(paths)
            if section == "forward":
                forward(paths)
            elif section != "tcp":
                if paths:
                    clean_up_paths()
                    paths = ()
                globals()[section]()
        except Exception as error:                  # the other sections are still worth having
            print(f"## {section}\n\nnot measured: {error}\n", flush=True)
            failed.append(section)
            VR.kill_all()
    return 1 if failed else 0


def interrupted(*_):
    raise KeyboardInterrupt


def run_all(main):
    """As root, above the machine's other load, and with everything taken away again however it ends."""
    if os.geteuid():
        sys.exit("needs root, for network namespaces: use sudo")
    signal.signal(signal.SIGTERM, interrupted)
    above_other_load()
    status = 130
    try:
        status = main()
    except KeyboardInterrupt:
        pass
    finally:
        clean_up()
    sys.exit(status)


if __name__ == "__main__":
    run_all(main)
