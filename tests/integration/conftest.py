# SPDX-License-Identifier: MIT
"""
What the integration tests share. A test asks for `europa` and gets a host of its own: a run directory (EUROPA_RUN_DIR), a
network namespace in which the commands run and the VRs' devices appear, names that nobody else uses; when the test is over, all
of it is removed, and the test fails if the product left anything behind that is its own to remove.

    home  the namespace in which europa-run runs: <vr>-v0, <vr>-v1 ... appear here
    a, b  namespaces that stand for hosts; VR.join(n, host, address, gateway) moves <vr>-vN into one

Nothing here sleeps and then asserts: wait_for() polls for a state, with a deadline that only a failure ever reaches.

The suite runs on the switch that $EUROPA_SWITCH names (auto, kmod, user).
"""
import contextlib
import ctypes
import fcntl
import itertools
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / os.environ.get("O", "build")
IMAGES = ROOT / "image"
SWITCH = os.environ.get("EUROPA_SWITCH", "auto")
# What is the module's alone is tested where there is one.
collect_ignore = [] if SWITCH == "kmod" else ["test_module.py"]
DEADLINE = float(os.environ.get("EUROPA_TEST_DEADLINE", 30))

# Short, so that NAME-v0 fits in IFNAMSIZ; from the pid, so that two runs of the suite don't meet.
PREFIX = "t" + "".join("abcdefghijklmnopqrstuvwxyz"[os.getpid() // 26**i % 26] for i in range(4))
serial = itertools.count(1)


def wait_for(condition, what="the expected state", timeout=None, step=0.02):
    """Polls until condition() is true and returns what it said. Exceptions of the classes below count as "not yet"."""
    deadline = time.monotonic() + (timeout or DEADLINE)
    last = None
    while True:
        try:
            last = condition()
            if last:
                return last
        except (OSError, KeyError, IndexError, ValueError, subprocess.CalledProcessError) as error:
            last = error
        if time.monotonic() > deadline:
            pytest.fail(f"gave up waiting for {what}; last: {last!r}")
        time.sleep(step)


def command(*argv, check=True, timeout=2 * DEADLINE, **options):
    """Runs a command, output captured as text. A failure shows what it said."""
    argv = [str(word) for word in argv]
    options.setdefault("stdin", subprocess.DEVNULL)
    done = subprocess.run(argv, capture_output=True, text=True, errors="replace", timeout=timeout, **options)
    if check and done.returncode != 0:
        pytest.fail(f"{' '.join(argv)}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
    return done


# ---- namespaces ----

libc = ctypes.CDLL(None, use_errno=True)


class Host:
    """A network namespace that stands for a host."""

    SIOCSIFFLAGS, IFF_UP = 0x8914, 1

    def __init__(self, name):
        self.name = name
        self.path = f"/run/netns/{name}"
        self.children = []
        # Each test has some of these, and in an emulated machine a command takes a second: so no more of them than must be.
        command("ip", "netns", "add", name)
        with self.entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            # Nothing on the wires but what a test puts there.
            for devices in ("all", "default"):
                Path(f"/proc/sys/net/ipv6/conf/{devices}/disable_ipv6").write_text("1")
            fcntl.ioctl(any_socket, self.SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", self.IFF_UP))

    def argv(self, *argv):
        # Not `ip netns exec`, which hides /sys/fs/cgroup under a new /sys.
        return ["nsenter", f"--net={self.path}", "--", *map(str, argv)]

    def run(self, *argv, **options):
        return command(*self.argv(*argv), **options)

    def popen(self, *argv, **options):
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.STDOUT)
        child = subprocess.Popen(self.argv(*argv), text=True, **options)
        self.children.append(child)
        return child

    def ip(self, *argv):
        return command("ip", "-n", self.name, *argv)

    def devices(self):
        return {link["ifname"]: link for link in json.loads(self.ip("-j", "link").stdout)}

    def names(self):
        """Of its devices, without a process."""
        with self.entered():
            return [name for _, name in socket.if_nameindex()]

    def ping(self, address, count=3, *options):
        """True where every echo came back."""
        done = self.run("ping", "-n", "-q", "-c", count, "-i", "0.02", "-W", "5", *options, address, check=False)
        return done.returncode == 0 and " 0% packet loss" in done.stdout

    def receive_errors(self, protocol, field):
        """A counter of /proc/net/snmp of this namespace: receive_errors("Udp", "InCsumErrors")."""
        lines = [line.split() for line in self.run("cat", "/proc/net/snmp").stdout.splitlines()]
        names, values = [line for line in lines if line[0] == protocol + ":"]
        return int(values[names.index(field)])

    @contextlib.contextmanager
    def entered(self):
        """The calling thread is in the namespace."""
        with open("/proc/thread-self/ns/net") as back, open(self.path) as here:
            if libc.setns(here.fileno(), 0x40000000):
                raise OSError(ctypes.get_errno(), "setns")
            try:
                yield
            finally:
                libc.setns(back.fileno(), 0x40000000)

    def wire(self, device, offloads=False):
        return Wire(self, device, offloads)

    def remove(self):
        for child in self.children:
            if child.poll() is None:
                child.kill()
            child.wait()
            if child.stdout:
                child.stdout.close()
        command("ip", "netns", "del", self.name, check=False)


class Wire:
    """A packet socket on a device: frames out, and those in that come from the other side."""

    SOL_PACKET, PACKET_ADD_MEMBERSHIP, PACKET_AUXDATA, PACKET_VNET_HDR, PACKET_IGNORE_OUTGOING = 263, 1, 8, 15, 23
    TP_STATUS_VLAN_VALID = 0x10
    ETH_P_ALL, PACKET_MR_PROMISC = 3, 1

    def __init__(self, host, device, offloads):
        self.offloads = offloads
        with host.entered():
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            self.socket.setsockopt(self.SOL_PACKET, self.PACKET_IGNORE_OUTGOING, 1)
            self.socket.setsockopt(self.SOL_PACKET, self.PACKET_AUXDATA, 1)
            if offloads:
                self.socket.setsockopt(self.SOL_PACKET, self.PACKET_VNET_HDR, 1)
            self.socket.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)     # SO_RCVBUFFORCE; SO_RCVBUF where it is refused
            member = struct.pack("IHH8s", socket.if_nametoindex(device), self.PACKET_MR_PROMISC, 0, b"")
            self.socket.setsockopt(self.SOL_PACKET, self.PACKET_ADD_MEMBERSHIP, member)
            self.socket.bind((device, self.ETH_P_ALL))

    def send(self, frame):
        self.socket.send(bytes(frame))

    def frames(self, timeout=None):
        """Frames as they come in (bytes; with offloads: header and frame) until nothing came for the timeout."""
        self.socket.settimeout(timeout or DEADLINE)
        while True:
            try:
                yield self.receive()
            except socket.timeout:
                return

    def receive(self):
        """The next frame, with the VLAN tag that the kernel took out of it put back."""
        frame, notes, *_ = self.socket.recvmsg(1 << 17, 256)
        for level, kind, note in notes:
            if (level, kind) == (self.SOL_PACKET, self.PACKET_AUXDATA) and not self.offloads:
                status, _, _, _, _, tci, tpid = struct.unpack("IIIHHHH", note)
                if status & self.TP_STATUS_VLAN_VALID:
                    frame = frame[:12] + struct.pack(">HH", tpid or 0x8100, tci) + frame[12:]
        return frame

    def expect(self, wanted, what="a frame", timeout=None):
        """The first frame in, as scapy's Ether, for which wanted(frame) is true."""
        from scapy.layers.l2 import Ether
        seen = []
        deadline = time.monotonic() + (timeout or DEADLINE)
        for raw in self.frames(timeout):
            frame = Ether(raw)
            if wanted(frame):
                return frame
            seen.append(frame.summary())
            if time.monotonic() > deadline:
                break
        pytest.fail(f"{what} didn't come; seen instead: {seen[:20]}")

    def until(self, last, what="the last frame", timeout=None):
        """All frames in up to the one for which last(frame) is true, without that one."""
        from scapy.layers.l2 import Ether
        seen = []
        for raw in self.frames(timeout):
            frame = Ether(raw)
            if last(frame):
                return seen
            seen.append(frame)
        pytest.fail(f"{what} didn't come after {[f.summary() for f in seen[:20]]}")

    def close(self):
        self.socket.close()


# ---- the product ----

def replace_module():
    """As europa(4) says."""
    Path("/sys/module/europa/parameters/release").write_text("1")
    # Supervisors that have let go look for the next module, and hold this one while they do.
    wait_for(lambda: command("rmmod", "europa", check=False).returncode == 0, "the module to be let go")
    command("insmod", os.environ["EUROPA_MODULE"])


class Europa:
    """The commands of this tree, with a run directory and a home namespace of their own."""

    def __init__(self, run_dir):
        self.run_dir = Path(run_dir)
        self.stem = f"{PREFIX}{next(serial)}"
        self.count = itertools.count(1)
        self.env = dict(os.environ, EUROPA_RUN_DIR=str(run_dir), PATH=f"{BUILD}/bin:{os.environ['PATH']}", LC_ALL="C.UTF-8")
        self.hosts, self.vrs, self.wires = {}, [], []
        self.home = self.host("home")

    def host(self, name):
        if name not in self.hosts:
            self.hosts[name] = Host(f"{self.stem}{name}")
        return self.hosts[name]

    def wire(self, host, device, offloads=False):
        wire = host.wire(device, offloads)
        self.wires.append(wire)
        return wire

    def share_nic(self, a):
        """home has `nic`, for VRs to share; the other end of its wire, `wire`, is in a."""
        self.own = frozenset(["nic"])
        self.home.ip("link", "add", "nic", "type", "veth", "peer", "name", "wire", "netns", a.name)
        self.home.ip("link", "set", "nic", "up")
        a.ip("link", "set", "wire", "up")

    def name(self):
        """A VR's name that nobody else uses."""
        return f"{self.stem}{'abcdefghijklmnopqrstuvwxyz'[next(self.count) - 1]}"

    def run(self, *argv, **options):
        """europa("ps", "-q"): runs a command in the home namespace; check=False to look at the exit status."""
        return self.home.run(BUILD / "bin" / f"europa-{argv[0]}", *argv[1:], env=self.env, **options)

    __call__ = run

    def popen(self, *argv, **options):
        return self.home.popen(BUILD / "bin" / f"europa-{argv[0]}", *argv[1:], env=self.env, **options)

    def start(self, image, *options, args=(), name=None):
        """A detached VR that runs. `image`: the name of one of this tree's, or a path."""
        vr = VR(self, name or self.name())
        image = image if "/" in str(image) else IMAGES / image
        self.vrs.append(vr)
        self.run("run", "--detach", "--name", vr.name, *self.switch(), *options, image, *(["--", *args] if args else []))
        vr.wait_running()
        return vr

    def switch(self):
        return [] if SWITCH == "auto" else ["--switch", SWITCH]

    def ps(self, *options):
        return json.loads(self.run("ps", "-a", "--format", "json", *options).stdout)

    # -- the switch: europad, found by what it was started with, or the module

    def switches(self):
        """Whoever serves this run directory's VRs, as numbers that are others when it is another switch."""
        if SWITCH != "kmod":
            return self.switch_pids()
        try:
            return [os.stat("/sys/module/europa").st_ino] if Path("/dev/europa").exists() else []
        except FileNotFoundError:
            return []

    def end_switch(self, how=signal.SIGKILL):
        """europad is killed; the module is unloaded and loaded again, after its VRs have been told to let go. No VR is to end."""
        if SWITCH != "kmod":
            (switch,) = wait_for(self.switch_pids, "europad")
            os.kill(switch, how)
            return
        replace_module()

    def switch_pids(self):
        """europad's processes of this run directory."""
        return [pid for pid in processes() if process_name(pid) == "europad"
                and process_env(pid, "EUROPA_RUN_DIR") == str(self.run_dir)]

    # -- what must not be there afterwards

    def leftovers(self):
        """Everything of this test's VRs that is still there, as a list of descriptions."""
        left = []
        for vr in self.vrs:
            left += vr.leftovers()
        left += [f"europad {pid}" for pid in self.switch_pids()]
        left += [f"device {name} in home" for name in self.home.names() if name.startswith(self.stem) and name not in self.own]
        left += [f"mount {line.split()[1]}" for line in Path("/proc/self/mounts").read_text().splitlines()
                 if str(self.run_dir) in line]
        # Locks and the switch's log stay: who removed a lock might remove it under somebody who waits for it.
        left += [f"file {path}" for path in sorted(self.run_dir.glob("*"))
                 if path.name not in (".criu", ".lock", ".restored", "switch.lock", "switch.log")
                 and not (path.name == "netns" and not (path.is_dir() and os.listdir(path)))]
        return left

    own = frozenset()       # devices that the test itself made in home

    def finish(self):
        """Ends what runs, then says what couldn't be ended."""
        for host in self.hosts.values():
            for child in host.children:
                if child.poll() is None and host is not self.home:
                    child.kill()
        for vr in self.vrs:
            self.run("kill", "--time", "0", vr.name, check=False)
        for child in self.home.children:
            if child.poll() is None:
                child.terminate()
        deadline = time.monotonic() + 15
        while (left := self.leftovers()) and time.monotonic() < deadline:
            time.sleep(0.05)
        for wire in self.wires:
            wire.close()
        return left

    def sweep(self):
        """After a failure: what the product left, so that the next test starts clean."""
        for vr in self.vrs:
            for pid in vr.pids():
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
        for pid in self.switch_pids():
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        for line in reversed(Path("/proc/self/mounts").read_text().splitlines()):
            if str(self.run_dir) in line:
                command("umount", "-l", line.split()[1], check=False)
        for _ in range(50):
            groups = [group for vr in self.vrs for group in vr.cgroups()]
            for group in groups:
                with contextlib.suppress(OSError):
                    os.rmdir(group)
            if not groups:
                break
            time.sleep(0.05)

    def remove(self):
        for host in self.hosts.values():
            host.remove()
        shutil.rmtree(self.run_dir, ignore_errors=True)


class VR:
    """One virtual router of a test."""

    def __init__(self, europa, name):
        self.europa, self.name = europa, name

    def state(self):
        return json.loads((self.europa.run_dir / self.name / "state.json").read_text())

    def inspect(self):
        found = json.loads(self.europa("inspect", self.name).stdout)
        return found[0] if isinstance(found, list) else found

    def stat(self):
        found = json.loads(self.europa("stat", "--format", "json", self.name).stdout)
        return found[0] if isinstance(found, list) else found

    def wait_running(self):
        wait_for(lambda: self.state()["status"] == "running", f"{self.name} to run")

    def device(self, n):
        return f"{self.name}-v{n}"

    def join(self, n, host, address=None, gateway=None, routes="default"):
        """Moves the device of vNIC n into a host, with an address and a gateway where they are given."""
        device = self.device(n)
        wait_for(lambda: device in self.europa.home.names(), f"the device {device}")
        self.europa.home.ip("link", "set", device, "netns", host.name)
        if address:
            host.ip("address", "add", address, "dev", device)
        host.ip("link", "set", device, "up")
        # The switch hears of it a little later, and until then what the VR sends is counted as tx_down.
        wait_for(lambda: self.stat()["vnics"][n]["up"], f"the carrier of {device}")
        if gateway:
            host.ip("route", "add", routes, "via", gateway)
        return device

    def kill(self, *options):
        return self.europa("kill", *options, self.name)

    def pids(self):
        """Every process in the VR's control group, in whichever hierarchy; but for the module's worker, which is a thread of the kernel."""
        found = set()
        for group in self.cgroups():
            with contextlib.suppress(OSError):
                found |= {int(pid) for pid in Path(group, "cgroup.procs").read_text().split()}
        return sorted(pid for pid in found if not process_is_kernels(pid))

    def cgroups(self):
        return [str(path) for base in cgroup_roots() for path in Path(base).glob(f"europa/{self.name}")]

    def supervisor(self):
        supervisor = self.state()["supervisor"]
        return supervisor["pid"] if isinstance(supervisor, dict) else supervisor

    def leftovers(self):
        left = [f"cgroup {group}" for group in self.cgroups()]
        left += [f"process {pid} ({process_name(pid)})" for pid in self.pids()]
        left += [f"process {pid}: {process_command(pid)}" for pid in processes()
                 if f"--name {self.name} " in process_command(pid) + " " and process_state(pid) not in "ZX"]
        left += [f"directory {path}" for path in self.europa.run_dir.glob(self.name)]
        for host in self.europa.hosts.values():
            left += [f"device {name} in {host.name}" for name in host.names() if name.startswith(f"{self.name}-v")]
        return left


# ---- processes and control groups ----

def processes():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def process_name(pid):
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


@contextlib.contextmanager
def stopped(*pids):
    """Processes that stand still meanwhile."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def process_state(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


def process_is_kernels(pid):
    """A thread of the kernel: PF_KTHREAD among its flags."""
    try:
        return bool(int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[6]) & 0x200000)
    except OSError:
        return False


def process_command(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def process_env(pid, name):
    try:
        for entry in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
            key, _, value = entry.partition(b"=")
            if key == name.encode():
                return value.decode(errors="replace")
    except OSError:
        pass
    return None


def process_alive(pid):
    return process_state(pid) not in "ZX"


def cgroup_roots():
    """Mount points of all control group hierarchies."""
    return [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()
            if line.split()[2] in ("cgroup", "cgroup2")]


# ---- images of test programs ----

def program_image(directory, program):
    """An image with one of the test programs as its data plane."""
    image = Path(directory) / program
    for name in ("bin", "dev", "etc", "proc", "sys", "tmp", "run"):
        (image / "rootfs" / name).mkdir(parents=True)
    shutil.copy(BUILD / "tests" / program, image / "rootfs" / "bin" / program)
    (image / "config.json").write_text(json.dumps({
        "ociVersion": "1.0.2",
        "process": {"user": {"uid": 65534, "gid": 65534}, "args": [f"/bin/{program}"], "env": ["PATH=/bin"], "cwd": "/"},
        "root": {"path": "rootfs", "readonly": True},
        "annotations": {"io.europa.vnics": "2", "io.europa.seccomp": "wide"},
    }))
    for path in (Path(directory), image, image / "rootfs"):
        path.chmod(0o755)
    return image


# ---- fixtures ----

BAD_NEWS = ("WARNING:", "BUG:", "Oops", "possible circular locking", "inconsistent lock state", "suspicious RCU usage", "sleeping function",
            "unreferenced object", "general protection fault", "unregister_netdevice: waiting", "UBSAN", "KASAN", "KCSAN", "blocked for more than",
            "rcu: INFO", "scheduling while atomic", "refcount_t:")


def kernel_complaints():
    lines = subprocess.run(["dmesg", "--notime"], capture_output=True, text=True, errors="replace").stdout.splitlines()
    return [line for line in lines if any(word in line for word in BAD_NEWS)]


@pytest.fixture(autouse=True)
def a_quiet_kernel():
    """With the module, a test fails where the kernel's log has something to complain about that wasn't there before."""
    before = len(kernel_complaints()) if SWITCH == "kmod" else 0
    yield
    if SWITCH == "kmod":
        assert kernel_complaints()[before:] == []


data_planes_ends = []           # of pipes whose switch's ends a test gave away


@pytest.fixture(autouse=True)
def no_pipe_is_left():
    yield
    while data_planes_ends:
        os.close(data_planes_ends.pop())


@pytest.fixture
def europa(tmp_path_factory, request):
    # /tmp, not pytest's deep directories: the path of a unix socket has 107 bytes.
    run_dir = Path(f"/tmp/{PREFIX}.{next(serial)}")
    run_dir.mkdir(mode=0o700)
    product = Europa(run_dir)
    try:
        yield product
        left = product.finish()
        log = run_dir / "switch.log"
        if log.exists() and getattr(request.node, "failed", False):
            print("---- switch.log\n" + log.read_text(errors="replace")[-4000:])
        if left:
            product.sweep()
            pytest.fail("left behind: " + "; ".join(left))
    finally:
        product.remove()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if call.when == "call" and outcome.get_result().failed:
        item.failed = True


@pytest.fixture
def a(europa):
    return europa.host("a")


@pytest.fixture
def b(europa):
    return europa.host("b")


# Options for two vNICs with devices of their own, from which europad receives by XDP. To the module that is the same as without.
BY_XDP = ["--link", "0=device:xdp", "--link", "1=device:xdp"]


class Routed:
    """Two hosts and ipfwd between them:  a 10.0.0.2 --- 10.0.0.1 ipfwd 10.0.1.1 --- 10.0.1.2 b"""

    def __init__(self, europa, a, b, *options, args=(), image="ipfwd"):
        self.europa, self.a, self.b = europa, a, b
        self.vr = europa.start(image, "--vnics", "2", *options, args=args)
        self.left = self.vr.join(0, a, "10.0.0.2/24", "10.0.0.1")
        self.right = self.vr.join(1, b, "10.0.1.2/24", "10.0.1.1")


@pytest.fixture
def routed(europa, a, b):
    return Routed(europa, a, b)
