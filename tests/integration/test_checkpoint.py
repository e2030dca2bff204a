# SPDX-License-Identifier: MIT
"""
Checkpoint and restore, in warm mode: a router goes on where it was, nothing is forwarded twice, and what fails leaves things as they were.
"""
import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time
from pathlib import Path

import pytest
from conftest import BUILD, ROOT, SWITCH, VR, Europa, PREFIX, Routed, Wire, command, process_alive, process_name, serial, wait_for

HOARDER = BUILD / "tests" / "hoarder"
STREAM = BUILD / "tests" / "tcpstream"
FAULTS = ROOT / "build" / "faults"
FILES = {"manifest.json", "region", "state"}


def checkpoint(vr, directory, *options, mode="warm", **more):
    """What europa-checkpoint says, as JSON."""
    done = vr.europa("checkpoint", "--format", "json", "--mode", mode, *options, vr.name, directory, **more)
    return json.loads(done.stdout)


def fails(vr, directory, *options, **more):
    """Why it fails, in one line; nothing is there afterwards, and the VR runs."""
    before = vr.pids()
    done = vr.europa("checkpoint", *options, vr.name, directory, check=False, **more)
    assert done.returncode == 1 and done.stdout == "" and len(done.stderr.splitlines()) == 1, done
    nothing_in(directory)
    assert vr.state()["status"] == "running" and vr.pids() == before
    return done.stderr


def nothing_in(directory):
    left = [path.name for path in Path(directory).parent.glob(f"{Path(directory).name}*")]
    assert left == [], left


def restore(europa, directory, *options, name=None):
    done = europa("restore", "--detach", *options, *(["--name", name] if name else []), directory)
    vr = VR(europa, done.stdout.strip())
    if vr.name not in [known.name for known in europa.vrs]:
        europa.vrs.append(vr)
    vr.wait_running()
    return vr


def hoarder(europa, path, *args):
    """A VR whose first generation keeps what comes in; those after it forward. The probe is there for company."""
    root = path / "hoarder" / "rootfs"
    if not root.exists():
        root.mkdir(parents=True)
        shutil.copy(HOARDER, root / "hoarder")
        shutil.copy(BUILD / "tests" / "probe", root / "probe")
        (root.parent / "config.json").write_text(json.dumps({
            "ociVersion": "1.0.2", "root": {"path": "rootfs"}, "process": {"args": ["/hoarder", *args], "cwd": "/"}}))
    return europa.start(root.parent, "--vnics", "2")


def data_plane(vr):
    (pid,) = [pid for pid in vr.pids() if process_name(pid) in ("ipfwd", "hoarder", "nullfwd")]
    return pid


def limits(vr):
    """What the kernel enforces: {file: text}."""
    names = ("cpu.max", "cpu.weight", "cpu.shares", "cpu.cfs_quota_us", "cpu.cfs_period_us", "memory.max", "memory.limit_in_bytes",
             "pids.max", "cpuset.cpus")
    return {(group, name): Path(group, name).read_text() for group in vr.cgroups() for name in names if Path(group, name).exists()}


def addresses(host, device):
    """Addresses and routes of a device, as `ip` shows them, without what is another one each time."""
    (link,) = json.loads(host.ip("-j", "address", "show", "dev", device).stdout)
    routes = json.loads(host.ip("-j", "route", "show", "dev", device).stdout)
    return (link["ifname"], link["address"], link["mtu"], "UP" in link["flags"],
            [(a["local"], a["prefixlen"], a.get("broadcast")) for a in link["addr_info"] if a["scope"] != "link"], sorted(map(str, routes)))


def identity(routed):
    vr = routed.vr
    state = vr.state()
    return {"vnics": state["vnics"], "limits": state["limits"], "enforced": limits(vr), "image": state["image"],
            "left": addresses(routed.a, routed.left), "right": addresses(routed.b, routed.right)}


def counted(vr):
    """Everything that only ever grows."""
    stat = vr.stat()
    counters = dict(stat.get("counters") or {}) if isinstance(stat.get("counters"), dict) else {}
    for n, vnic in enumerate(stat["vnics"]):
        counters.update({f"{n} {key}": vnic[key] for key in ("rx_packets", "rx_bytes", "tx_packets", "tx_bytes")})
    return counters


def passes(routed):
    wait_for(lambda: routed.a.ping("10.0.1.2", 1), "pings to pass")


# ---- it is the same afterwards ----

def test_a_router_is_the_same_in_every_generation(europa, a, b, tmp_path):
    """Name, MACs, limits as they are in force, addresses, routes, counters; and the third generation is no worse than the first."""
    routed = Routed(europa, a, b, "--cpu", "25%", "--cpu-weight", "300", "--memory", "128M", "--pids", "20", "--mtu", "0=1400")
    europa("update", "--cpu", "50%", routed.vr.name)
    a.ip("route", "add", "10.9.0.0/16", "via", "10.0.0.1", "metric", "77")
    passes(routed)
    before = identity(routed)
    for generation in range(3):
        numbers = counted(routed.vr)
        said = checkpoint(routed.vr, tmp_path / f"saved{generation}")
        assert said["mode"] == "warm" and said["name"] == routed.vr.name
        print(f"generation {generation}: it stood still for {said['frozen_ms']} ms")
        wait_for(lambda: not routed.vr.leftovers(), f"nothing to be left: {routed.vr.leftovers()}")
        assert restore(europa, tmp_path / f"saved{generation}").name == routed.vr.name
        assert identity(routed) == before
        after = counted(routed.vr)
        assert not [(key, numbers[key], after.get(key)) for key in numbers if after.get(key, -1) < numbers[key]]
        passes(routed)
    assert {path.name for path in (tmp_path / "saved0").iterdir()} == FILES
    assert (tmp_path / "saved0").stat().st_mode & 0o777 == 0o700


def test_neighbours_need_not_be_asked_for_again(routed, tmp_path):
    """The first packet after a restore leaves without an ARP request: the table is the one that was."""
    passes(routed)
    checkpoint(routed.vr, tmp_path / "saved")
    restore(routed.europa, tmp_path / "saved")
    wire = routed.europa.wire(routed.b, routed.right)
    # a must ask, for its device is a new one; the router need not.
    passes(routed)
    wire.socket.settimeout(0.3)
    asked = []
    for raw in wire.frames(timeout=0.3):
        if raw[12:14] == b"\x08\x06" and raw[20:22] == b"\0\1" and raw[28:32] != raw[38:42]:
            asked.append(raw[38:42])
    assert bytes([10, 0, 1, 2]) not in asked, "the router asked for a neighbour that it knew"


def test_a_configuration_goes_along(europa, a, b, tmp_path):
    """The file that --config named may be gone, and the next generation still has it."""
    config = tmp_path / "routes"
    config.write_text("address 0 10.0.0.1/24\naddress 1 10.0.1.1/24\n")
    routed = Routed(europa, a, b, "--config", config)
    passes(routed)
    checkpoint(routed.vr, tmp_path / "one")
    assert (tmp_path / "one" / "config").read_bytes() == config.read_bytes()
    config.unlink()
    restore(europa, tmp_path / "one")
    passes(routed)
    checkpoint(routed.vr, tmp_path / "two")
    shutil.rmtree(tmp_path / "one")
    restore(europa, tmp_path / "two")
    passes(routed)


# ---- packets ----

def numbered(europa, host, device, mac, first, count):
    """Frames with a number each, which nobody but the VR's rings has to carry."""
    wire = europa.wire(host, device)
    for n in range(first, first + count):
        wire.send(bytes.fromhex(mac.replace(":", "")) + b"\x02\0\0\0\0\x99" + b"\x88\xb5" + struct.pack(">I", n) + bytes(60))


def numbers_in(wire, timeout=1.0):
    return [struct.unpack_from(">I", raw, 14)[0] for raw in wire.frames(timeout=timeout) if raw[12:14] == b"\x88\xb5"]


def test_packets_in_flight_are_forwarded_once(europa, a, b, tmp_path):
    """What is in the rings at the freeze is in the checkpoint, and leaves once: not again by a second restore, unless that is asked for."""
    vr = hoarder(europa, tmp_path)
    left, right = vr.join(0, a), vr.join(1, b)
    numbered(europa, a, left, vr.state()["vnics"][0]["mac"], 0, 100)
    wait_for(lambda: vr.stat()["vnics"][0]["rx_ring"]["used"] >= 100, "the packets to be in the ring")
    said = checkpoint(vr, tmp_path / "saved", "--leave-running")
    assert said["rx_packets"] >= 100 and said["left_running"]
    first = checkpoint(vr, tmp_path / "again")
    assert first["rx_packets"] >= 100

    def forwarded(directory, *options):
        # Something must be there to see it: b's end comes up with the VR, so the wire is opened while the packets wait for a link.
        restored = restore(europa, directory, "--no-network", *options)
        assert counters_of(restored)["generation"] == 1
        sent = restored.stat()["vnics"][1]
        dropped = sum(sent["drops"].values()) if isinstance(sent["drops"], dict) else 0
        # Without links what leaves is counted as dropped, once each.
        wait_for(lambda: restored.stat()["pool"]["slots_of_vr"] == restored.stat()["pool"]["alloc_ring"]["used"], "the slots to come home")
        now = restored.stat()["vnics"][1]
        restored.kill("--time", "0")
        wait_for(lambda: not restored.leftovers(), "nothing to be left")
        return now["tx_packets"] + sum((now["drops"] or {}).values()) if now else dropped

    assert forwarded(tmp_path / "saved") == 0, "those of a VR that was left running"
    assert forwarded(tmp_path / "again", "--no-replay") == 0
    assert forwarded(tmp_path / "again") == first["rx_packets"]
    assert forwarded(tmp_path / "again") == 0
    assert forwarded(tmp_path / "again", "--replay") == first["rx_packets"]


def counters_of(vr):
    counters = vr.stat().get("counters")
    return counters if isinstance(counters, dict) else {entry["name"]: entry["value"] for entry in counters}


def test_packets_in_flight_arrive_in_order(europa, a, b, tmp_path):
    """Through the devices, which come back where they were, with the numbers in order and none twice."""
    vr = hoarder(europa, tmp_path)
    left = vr.join(0, a)
    right = vr.device(1)                # stays in home, where a wire may wait for it on the bridge that it is a port of
    home = europa.home
    home.ip("link", "add", "br0", "type", "bridge")
    home.ip("link", "set", "br0", "up")
    home.ip("link", "set", right, "master", "br0", "up")
    try:
        numbered(europa, a, left, vr.state()["vnics"][0]["mac"], 0, 200)
        wait_for(lambda: vr.stat()["vnics"][0]["rx_ring"]["used"] >= 200, "the packets to be in the ring")
        checkpoint(vr, tmp_path / "saved")
        wire = europa.wire(home, "br0")
        restore(europa, tmp_path / "saved")
        assert json.loads(home.ip("-j", "link", "show", right).stdout)[0]["master"] == "br0"
        assert numbers_in(wire) == list(range(200))
    finally:
        home.ip("link", "del", "br0")


def test_a_device_is_known_by_more_than_its_name(routed, tmp_path):
    """Somebody else's has the name where the VR was started: its addresses are not the VR's."""
    home = routed.europa.home
    home.ip("link", "add", routed.left, "type", "veth", "peer", "name", "stranger")
    try:
        home.ip("address", "add", "192.0.2.1/24", "dev", routed.left)
        checkpoint(routed.vr, tmp_path / "saved", "--leave-running")
    finally:
        home.ip("link", "del", routed.left)
    (left, right) = json.loads((tmp_path / "saved" / "manifest.json").read_text())["network"]
    assert (left["netns"], right["netns"]) == (routed.a.name, routed.b.name)
    assert [a["address"] for a in left["addresses"]] == ["10.0.0.2/24"]


class Tap(threading.Thread):
    """What leaves a host, whichever device it takes: numbers of a Sequence in that order, and how many other frames."""

    def __init__(self, host):
        super().__init__()
        self.numbers, self.others, self.over = [], 0, False
        with host.entered():
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(Wire.ETH_P_ALL))
        self.socket.setsockopt(socket.SOL_SOCKET, 33, 32 << 20)
        self.socket.settimeout(0.2)
        self.start()

    def run(self):
        while True:
            try:
                self.look_at(*self.socket.recvfrom(2048))
            except socket.timeout:
                if self.over:
                    return

    def look_at(self, frame, address):
        if address[2] != socket.PACKET_OUTGOING:
            return
        number = frame[42:42 + struct.unpack(">H", frame[38:40])[0] - 8] if frame[36:38] == Sequence.PORT else b""
        if number.isdigit():
            self.numbers.append(int(number))
        else:
            self.others += 1

    def finish(self):
        self.over = True
        self.join()
        self.socket.close()


class Sequence:
    """UDP datagrams with numbers from one host to another, as fast as asked for, and when each was sent."""

    PORT = struct.pack(">H", 7000)

    RECEIVE = ("import socket, sys\ns = socket.socket(type=2)\ns.setsockopt(1, 33, 32 << 20)\ns.bind(('', 7000))\nprint('bound', flush=True)\n"
               "while True:\n d = s.recv(100)\n if d == b'end': break\n print(int(d))\n")
    SEND = ("import socket, sys, time\ns = socket.socket(type=2)\nrate = float(sys.argv[1])\nn = 0\nstart = time.monotonic()\n"
            "import select\n"
            "while not select.select([sys.stdin], [], [], 0)[0]:\n"
            " try:\n  s.sendto(b'%d' % n, ('10.0.1.2', 7000)); print(n, time.monotonic(), flush=True)\n"
            " except OSError: pass\n"
            " n += 1\n time.sleep(max(0, start + n / rate - time.monotonic()))\n"
            "for _ in range(5):\n time.sleep(0.2); s.sendto(b'end', ('10.0.1.2', 7000))\n")

    def __init__(self, routed, rate):
        self.receiver = routed.b.popen("/usr/bin/python3", "-c", self.RECEIVE)
        assert self.receiver.stdout.readline() == "bound\n"
        self.sender = routed.a.popen("/usr/bin/python3", "-c", self.SEND, rate, stdin=subprocess.PIPE)
        self.sent, self.received = {}, []
        self.taps = Tap(routed.a), Tap(routed.b)
        self.threads = [threading.Thread(target=self.note_sent), threading.Thread(target=self.note_received)]
        for thread in self.threads:
            thread.start()

    def note_sent(self):
        for line in self.sender.stdout:
            n, when = line.split()
            self.sent[int(n)] = float(when)

    def note_received(self):
        for line in self.receiver.stdout:
            self.received.append(int(line))

    def finish(self):
        self.sender.stdin.write("stop\n")
        self.sender.stdin.close()
        for thread in self.threads:
            thread.join(timeout=60)
        for tap in self.taps:
            tap.finish()

    def check(self, counted):
        """Nothing came twice; all came in the order in which it left; and what left and didn't come, that many were counted, but for other frames."""
        left = self.taps[0].numbers
        came = set(self.received)
        lost = [n for n in left if n not in came]
        assert len(self.received) == len(came), "a packet came twice"
        assert self.received == [n for n in left if n in came]
        assert len(lost) <= counted <= len(lost) + sum(tap.others for tap in self.taps), (lost, counted)
        return len(lost)


def dropped(vr):
    return sum(sum((vnic["drops"] or {}).values()) for vnic in vr.stat()["vnics"])


def test_under_traffic_nothing_is_doubled_and_only_the_gap_is_lost(europa, a, b, tmp_path):
    """Everything that was sent before the freeze and after the devices were back arrives, once and in order."""
    routed = Routed(europa, a, b, "--pool", "16384", "--ring", "16384")
    passes(routed)
    before = dropped(routed.vr)
    sequence = Sequence(routed, 1000)
    wait_for(lambda: len(sequence.received) > 300, "traffic")
    start = time.monotonic()
    said = checkpoint(routed.vr, tmp_path / "saved")
    restore(europa, tmp_path / "saved")
    end = time.monotonic()
    seen = len(sequence.received)
    wait_for(lambda: len(sequence.received) > seen + 500, "traffic to go on")
    sequence.finish()
    lost = sorted(set(sequence.sent) - set(sequence.received))
    print(f"sent {len(sequence.sent)}, lost {len(lost)}; stood still for {said['frozen_ms']} ms, "
          f"both commands took {(end - start) * 1000:.0f} ms")
    sequence.check(said["lost_packets"] + dropped(routed.vr) - before)
    # a's neighbour entry went with its device: a few datagrams wait for a new one, and Linux keeps some of them only.
    outside = [n for n in lost if not start - 0.01 < sequence.sent[n] < end + 0.25]
    assert outside == [], f"lost outside of the gap: {outside}"


@pytest.mark.skipif(SWITCH == "kmod", reason="the module counts what comes while a VR is fenced, and doesn't keep it")
def test_a_vr_that_is_left_running_loses_nothing(europa, a, b, tmp_path):
    """Frames wait in front of it while it stands still."""
    routed = Routed(europa, a, b, "--pool", "16384", "--ring", "16384")
    passes(routed)
    sequence = Sequence(routed, 1000)
    wait_for(lambda: len(sequence.received) > 200, "traffic")
    for n in range(5):
        print(checkpoint(routed.vr, tmp_path / f"saved{n}", "--leave-running")["frozen_ms"], "ms")
        seen = len(sequence.received)
        wait_for(lambda: len(sequence.received) > seen + 50, "traffic to go on")
    sequence.finish()
    assert sorted(sequence.sent) == sequence.received, sorted(set(sequence.sent) ^ set(sequence.received))


def test_established_tcp_survives(routed, tmp_path):
    tcp_survives(routed, tmp_path, "warm")


def tcp_survives(routed, tmp_path, mode):
    """A stream whose every byte is checked runs through three generations of the router."""
    size = 1 << 29
    server = routed.b.popen(STREAM, "receive", 5001)
    assert server.stdout.readline() == "listening\n"
    sender = routed.a.popen(STREAM, "send", "10.0.1.2", 5001, size)
    for generation in range(3):
        moved = routed.vr.stat()["vnics"][1]["tx_bytes"]
        wait_for(lambda: routed.vr.stat()["vnics"][1]["tx_bytes"] > moved + (1 << 20), "the stream to go on")
        assert sender.poll() is None, "the stream was over before it was interrupted"
        checkpoint(routed.vr, tmp_path / f"saved{generation}", mode=mode)
        restore(routed.europa, tmp_path / f"saved{generation}")
    assert server.communicate(timeout=120)[0] == f"{size} good\n"
    assert sender.wait(timeout=30) == 0


# ---- elsewhere ----

@pytest.fixture
def europa2():
    """Another host: a run directory and a home namespace of its own."""
    run_dir = Path(f"/tmp/{PREFIX}.{next(serial)}")
    run_dir.mkdir(mode=0o700)
    product = Europa(run_dir)
    try:
        yield product
        left = product.finish()
        if left:
            product.sweep()
            pytest.fail("left behind: " + "; ".join(left))
    finally:
        product.remove()


def test_a_router_moves_to_another_host_and_back(europa, europa2, a, b, tmp_path):
    moves_to_another_host_and_back(Routed(europa, a, b), europa2, tmp_path, "warm")


def moves_to_another_host_and_back(routed, europa2, tmp_path, mode):
    """By tar. There the namespaces have other names, and the switch is another one."""
    europa, a, b = routed.europa, routed.a, routed.b
    passes(routed)
    a2, b2 = europa2.host("a"), europa2.host("b")
    checkpoint(routed.vr, tmp_path / "saved", mode=mode)
    wait_for(lambda: not europa.switch_pids(), "europad to follow its last VR")
    command("tar", "-C", tmp_path, "-cf", tmp_path / "tar", "saved")
    (tmp_path / "there").mkdir()
    command("tar", "-C", tmp_path / "there", "-xpf", tmp_path / "tar")
    moved = restore(europa2, tmp_path / "there" / "saved", "--netns", f"0={a2.name}", "--netns", f"1={b2.name}")
    assert moved.name == routed.vr.name
    assert a2.devices()[routed.left] and b2.devices()[routed.right]
    wait_for(lambda: a2.ping("10.0.1.2", 1), "pings to pass there")
    checkpoint(moved, tmp_path / "back", mode=mode)
    europa2.vrs.remove(moved)           # the name is the first host's again
    restore(europa, tmp_path / "back", "--netns", f"0={a.name}", "--netns", f"1={b.name}")
    passes(routed)


@pytest.mark.skipif(SWITCH != "kmod", reason="wants both switches")
def test_from_one_switch_to_the_other_and_back(routed, tmp_path):
    goes_from_one_switch_to_the_other_and_back(routed, tmp_path, "warm")


def goes_from_one_switch_to_the_other_and_back(routed, tmp_path, mode):
    """And to a module that was loaded anew."""
    europa = routed.europa
    passes(routed)
    for turn, switch in enumerate(("user", "kmod", "kmod")):
        checkpoint(routed.vr, tmp_path / f"saved{turn}", mode=mode)
        if turn == 2:
            europa.end_switch()
        restore(europa, tmp_path / f"saved{turn}", "--switch", switch)
        assert routed.vr.state()["switch"] == switch
        passes(routed)
    assert routed.vr.stat()["switch"]["violations"] == 0


def test_the_readmes_move(tmp_path):
    """As it stands there, in another directory and with namespaces of other names."""
    section = (ROOT / "README.md").read_text().split("## Moving one to another host")[1].split("\n## ")[0]
    script = "\n".join(line[4:] for line in section.splitlines() if line.startswith("    "))
    here, there, name = f"{PREFIX}h{next(serial)}", f"{PREFIX}t{next(serial)}", f"{PREFIX}e"
    for old, new in (("sudo ", ""), ("netns add here", f"netns add {here}"), ("netns add there", f"netns add {there}"),
                     ("netns del here", f"netns del {here}"), ("netns del there", f"netns del {there}"),
                     ("netns/here", f"netns/{here}"), ("netns/there", f"netns/{there}"),
                     ("/tmp/here", f"/tmp/{here}"), ("/tmp/there", f"/tmp/{there}"), ("edge", name),
                     ("image/ipfwd", str(ROOT / "image/ipfwd"))):
        assert old in script
        script = script.replace(old, new)
    try:
        done = command("bash", "-euo", "pipefail", "-c", script, cwd=tmp_path, env=dict(os.environ, PATH=f"{BUILD}/bin:{os.environ['PATH']}"))
        assert "10.0.0.2/24" in done.stdout and done.stdout.splitlines()[-1] == name
    finally:
        for run_dir, host in ((f"/tmp/{here}", here), (f"/tmp/{there}", there)):
            command(BUILD / "bin" / "europa-kill", "--time", "0", "--all", check=False, env=dict(os.environ, EUROPA_RUN_DIR=run_dir))
            command("ip", "netns", "del", host, check=False)
            wait_for(lambda: not list(Path(run_dir).glob("netns/*")), "europad to end")
            shutil.rmtree(run_dir, ignore_errors=True)


def test_a_copy_under_another_name(routed, tmp_path):
    """Beside the one that goes on; its devices are called by its own name, and are left alone."""
    passes(routed)
    checkpoint(routed.vr, tmp_path / "saved", "--leave-running")
    copy = restore(routed.europa, tmp_path / "saved", "--no-network", name=routed.europa.name())
    assert f"{copy.name}-v0" in routed.europa.home.devices()
    passes(routed)
    copy.kill()
    done = routed.europa("restore", "--detach", tmp_path / "saved", check=False)
    assert done.returncode == 125 and "taken" in done.stderr, "its name is in use"


def test_a_place_that_is_not_there(routed, tmp_path):
    """A device's network namespace is missing, or a route is somebody else's: then nothing is left of the restore, and it says how to do without."""
    passes(routed)
    checkpoint(routed.vr, tmp_path / "saved")
    for options, why in ((("--netns", "0=nowhere"), "nowhere"), (("--netns", f"0={routed.b.name}", "--netns", "5=x"), "2 vNICs"),
                         (("--netns", "1=", "--netns", f"0={routed.europa.home.name}"), "route")):
        if why == "route":
            routed.europa.home.ip("route", "add", "default", "dev", "lo")
        done = routed.europa("restore", "--detach", *options, tmp_path / "saved", check=False)
        assert done.returncode == 125 and why in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr
        wait_for(lambda: not routed.vr.leftovers(), f"nothing to be left: {routed.vr.leftovers()}")
    restore(routed.europa, tmp_path / "saved")
    passes(routed)


def test_neighbours_that_are_in_no_prefix(europa, tmp_path):
    """Addresses with a peer, and routes by a neighbour whom only the word of whoever made the route says to be one."""
    vr = europa.start("nullfwd", "--vnics", 1)
    host, device = europa.home, vr.device(0)
    host.ip("link", "set", device, "up")
    host.ip("address", "add", "10.9.0.1", "peer", "10.9.0.2/32", "dev", device)
    host.ip("route", "add", "10.77.0.0/16", "via", "192.0.2.1", "dev", device, "onlink")
    host.ip("route", "add", "10.78.0.0/16", "via", "10.9.0.2", "dev", device)

    def made():
        (link,) = json.loads(host.ip("-j", "address", "show", "dev", device).stdout)
        return ([(a["local"], a.get("address"), a["prefixlen"]) for a in link["addr_info"] if a["family"] == "inet"],
                sorted(map(str, json.loads(host.ip("-j", "route", "show", "dev", device).stdout))))

    before = made()
    assert before[0] == [("10.9.0.1", "10.9.0.2", 32)] and "onlink" in str(before[1])
    for generation in range(2):
        checkpoint(vr, tmp_path / f"saved{generation}")
        restore(europa, tmp_path / f"saved{generation}")
        assert made() == before


def test_in_the_foreground(europa, tmp_path):
    """Then the command is the VR's supervisor, as europa-run is, and ends with it; a checkpoint ends both."""
    vr = europa.start("nullfwd", "--vnics", 1)
    checkpoint(vr, tmp_path / "one")
    here = europa.popen("restore", "--rm", tmp_path / "one")
    vr.wait_running()
    assert vr.supervisor() == here.pid
    checkpoint(vr, tmp_path / "two")
    assert here.wait(timeout=30) == 128 + signal.SIGKILL
    here = europa.popen("restore", "--rm", tmp_path / "two")
    vr.wait_running()
    os.kill(data_plane(vr), signal.SIGTERM)
    assert here.wait(timeout=30) == 0


# ---- whatever the VR is doing ----

def test_an_overloaded_vr(europa, tmp_path):
    """It has never nothing to do, until nothing comes in any more."""
    vr = europa.start("nullfwd", "--vnics", 2, "--cpu", "20%", "--link", "0=generator:size=64", "--link", "1=generator:size=64")
    wait_for(lambda: vr.stat()["vnics"][0]["rx_packets"] > 10000, "load")
    checkpoint(vr, tmp_path / "saved")
    vr = restore(europa, tmp_path / "saved")
    moved = vr.stat()["vnics"][0]["rx_packets"]
    wait_for(lambda: vr.stat()["vnics"][0]["rx_packets"] > moved, "load to go on")


def test_a_throttled_vr(europa, tmp_path):
    vr = europa.start("nullfwd", "--vnics", 2, "--cpu", "2%", "--cpu-period", "100ms", "--link", "0=generator:size=64", "--link", "1=none")
    wait_for(lambda: vr.stat()["vnics"][0]["rx_packets"] > 1000, "load")
    checkpoint(vr, tmp_path / "saved", "--timeout", "60")
    vr = restore(europa, tmp_path / "saved")
    assert vr.state()["limits"]["cpu_permille"] == 20


def test_a_frozen_vr_is_refused(routed, tmp_path):
    freezers = [Path(group, name) for group in routed.vr.cgroups() for name in ("freezer.state", "cgroup.freeze") if Path(group, name).exists()]
    if not freezers:
        pytest.skip("no freezer here")
    frozen, thawed = ("FROZEN", "THAWED") if freezers[0].name == "freezer.state" else ("1", "0")
    freezers[0].write_text(frozen)
    try:
        # Also while it freezes: on v2 a group with the module's worker in it never comes to an end with that.
        assert "its control group is frozen" in fails(routed.vr, tmp_path / "saved")
    finally:
        freezers[0].write_text(thawed)
    passes(routed)


def test_a_data_plane_that_does_not_answer(routed, tmp_path):
    """The deadline is the tool's; while it waits, nobody else may begin, and whoever kills it or its switch leaves the VR as it was."""
    vr, europa = routed.vr, routed.europa
    passes(routed)
    pid = data_plane(vr)
    os.kill(pid, signal.SIGSTOP)
    try:
        assert "within 1.0 seconds" in fails(vr, tmp_path / "saved", "--timeout", "1")
        waiting = europa.popen("checkpoint", "--timeout", "600", vr.name, tmp_path / "saved")
        wait_for(lambda: vr.stat()["switch"]["status"] != "attached", "the fence")
        done = europa("checkpoint", vr.name, tmp_path / "other", check=False)
        assert done.returncode == 1 and ("another checkpoint" in done.stderr or "expected attached" in done.stderr), done.stderr
        waiting.kill()
        waiting.wait()
        wait_for(lambda: vr.stat()["switch"]["status"] == "attached", "the VR to go on")
        waiting = europa.popen("checkpoint", "--timeout", "600", vr.name, tmp_path / "saved")
        wait_for(lambda: vr.stat()["switch"]["status"] != "attached", "the fence")
        europa.end_switch()
        assert "ended meanwhile" in waiting.communicate(timeout=30)[0]
        assert waiting.returncode == 1
    finally:
        os.kill(pid, signal.SIGCONT)
    nothing_in(tmp_path / "saved")
    wait_for(lambda: vr.stat()["switch"]["status"] == "attached", "another switch")
    if SWITCH != "kmod":
        passes(routed)
    assert data_plane(vr) == pid


def test_the_vr_ends_meanwhile(routed, tmp_path):
    vr = routed.vr
    os.kill(data_plane(vr), signal.SIGSTOP)
    waiting = routed.europa.popen("checkpoint", "--timeout", "600", vr.name, tmp_path / "saved")
    wait_for(lambda: vr.stat()["switch"]["status"] != "attached", "the fence")
    os.kill(data_plane(vr), signal.SIGKILL)
    assert "ended meanwhile" in waiting.communicate(timeout=30)[0]
    nothing_in(tmp_path / "saved")


# ---- what is refused ----

def test_what_can_not_be_saved_is_named(europa, routed, tmp_path):
    def refusal(*options, vr=routed.vr, directory=tmp_path / "saved"):
        done = europa("checkpoint", *options, vr.name, directory, check=False)
        assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
        return done.stderr

    assert "--mode criu" in refusal("--mode", "criu")
    assert "is there already" in refusal(directory=tmp_path)
    assert "nowhere" in refusal(directory=tmp_path / "nowhere" / "saved")
    other = VR(europa, "nobody")
    assert 'no virtual router named "nobody"' in refusal(vr=other)
    root = tmp_path / "probe" / "rootfs"
    root.mkdir(parents=True)
    shutil.copy(BUILD / "tests" / "probe", root / "probe")
    (root.parent / "config.json").write_text(json.dumps({
        "ociVersion": "1.0.2", "root": {"path": "rootfs"}, "process": {"args": ["/probe", "wait"], "cwd": "/"}}))
    assert "no vNIC" in refusal(vr=europa.start(root.parent))
    assert '"/probe"' in refusal(vr=europa.start(root.parent, "--vnics", "1"))
    nothing_in(tmp_path / "saved")


def test_a_process_beside_the_data_plane_is_named(europa, tmp_path):
    vr = hoarder(europa, tmp_path)
    beside = europa.popen("exec", vr.name, "/probe", "wait")
    wait_for(lambda: "probe" in map(process_name, vr.pids()), "the other process")
    why = fails(vr, tmp_path / "saved")
    assert '"probe"' in why and "process" in why
    beside.terminate()
    beside.wait(timeout=30)
    wait_for(lambda: len(vr.pids()) == 2, "it to end")
    checkpoint(vr, tmp_path / "saved")


def test_mounts_are_agreed_to(europa, tmp_path):
    (tmp_path / "data").mkdir()
    vr = europa.start("nullfwd", "--vnics", 1, "--mount", f"{tmp_path / 'data'}:/data")
    checkpoint(vr, tmp_path / "saved")
    done = europa("restore", "--detach", tmp_path / "saved", check=False)
    assert done.returncode == 125 and str(tmp_path / "data") in done.stderr and "--allow-mounts" in done.stderr
    restore(europa, tmp_path / "saved", "--allow-mounts")


def test_a_directory_that_is_no_utf8_is_told_in_json(europa, tmp_path):
    directory = tmp_path / os.fsdecode(b"saved\xff")
    told = checkpoint(europa.start("nullfwd"), directory)
    assert told["directory"] == f"{tmp_path}/saved\\xff"
    assert json.loads(europa("restore", "--check", "--format", "json", directory).stdout)["directory"] == told["directory"]
    assert f"{tmp_path}/saved\\xff\n" in europa("restore", "--check", directory).stdout


def test_a_data_plane_that_can_not_load(europa, tmp_path):
    """Then the restore has failed, and nothing is left of it; the checkpoint is still good."""
    vr = hoarder(europa, tmp_path, "refuse")
    checkpoint(vr, tmp_path / "saved")
    done = europa("restore", "--detach", tmp_path / "saved", check=False)
    assert done.returncode == 125 and "without taking over the state" in done.stderr, done.stderr
    wait_for(lambda: not vr.leftovers(), "nothing to be left")
    config = tmp_path / "hoarder" / "config.json"
    config.write_text(config.read_text().replace(', "refuse"', ""))
    europa("restore", "--check", tmp_path / "saved")


def signed(manifest):
    """As whoever forges a manifest would: its id is right."""
    text = json.dumps(dict(manifest, id="0" * 64), indent=2)
    return text.replace("0" * 64, hashlib.sha256(text.encode()).hexdigest(), 1)


def test_an_image_does_not_come_with_a_checkpoint(europa, tmp_path):
    """Nor is what it says written to a terminal as it is."""
    vr = europa.start("nullfwd", "--vnics", 1)
    saved = tmp_path / "saved"
    checkpoint(vr, saved)
    manifest = json.loads((saved / "manifest.json").read_text())
    bundle = manifest["spec"]["bundle"]
    shutil.copytree(bundle, saved / "image")
    (tmp_path / "link").symlink_to(bundle)
    for forged in (saved / "image", f"/proc/self/root{bundle}", tmp_path / "link", "/nowhere\033[2J"):
        manifest["spec"]["bundle"] = str(forged)
        (saved / "manifest.json").write_text(signed(manifest))
        done = europa("restore", "--detach", saved, check=False)
        assert done.returncode == 125 and "--image says where" in done.stderr and "\033" not in done.stderr, done.stderr
        wait_for(lambda: not vr.leftovers(), "nothing to be left")
    manifest["network"][0]["netns"] = "\033[2J"
    (saved / "manifest.json").write_text(signed(manifest))
    done = europa("restore", "--detach", "--image", bundle, saved, check=False)
    assert done.returncode == 125 and "network namespace" in done.stderr and "\033" not in done.stderr, done.stderr
    wait_for(lambda: not vr.leftovers(), "nothing to be left")
    restore(europa, saved, "--image", bundle, "--no-network")


# ---- damage ----

@pytest.fixture
def saved(europa, tmp_path):
    """A checkpoint with packets in it."""
    vr = hoarder(europa, tmp_path)
    europa.home.ip("link", "set", vr.device(0), "up")
    numbered(europa, europa.home, vr.device(0), vr.state()["vnics"][0]["mac"], 0, 10)
    wait_for(lambda: vr.stat()["vnics"][0]["rx_ring"]["used"] >= 10, "the packets")
    checkpoint(vr, tmp_path / "saved")
    return tmp_path / "saved"


def test_every_damage_is_seen_and_the_file_is_named(europa, saved):
    """Bytes flipped and files cut, here and there in all of them; one that is missing, a directory, a pipe, a link."""
    rnd = random.Random(11)
    europa("restore", "--check", saved)

    def refused(name):
        done = europa("restore", "--check", saved, check=False)
        assert done.returncode == 125 and f"{saved}/{name}" in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr

    for name in sorted(FILES):
        path = saved / name
        good = path.read_bytes()
        for _ in range(25):
            at = rnd.randrange(len(good))
            path.write_bytes(good[:at] + bytes([good[at] ^ 1 << rnd.randrange(8)]) + good[at + 1:])
            refused(name)
        for length in {0, 1, 63, len(good) // 2, len(good) - 1, *(rnd.randrange(len(good)) for _ in range(5))}:
            path.write_bytes(good[:length])
            refused(name)
        path.write_bytes(good + b"\0")
        refused(name)
        os.truncate(path, 1 << 40)
        refused(name)
        path.unlink()
        refused(name)
        os.mkfifo(path)
        refused(name)
        path.unlink()
        path.symlink_to("/etc/passwd")
        refused(name)
        path.unlink()
        path.write_bytes(good)
    europa("restore", "--check", saved)


def test_a_damaged_checkpoint_creates_nothing_and_a_good_one_is_not_changed(europa, saved):
    vr = europa.vrs[-1]
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in saved.iterdir()}
    good = (saved / "region").read_bytes()
    (saved / "region").write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    done = europa("restore", "--detach", saved, check=False)
    assert done.returncode == 125 and "region" in done.stderr and not vr.leftovers()
    (saved / "region").write_bytes(good)
    os.utime(saved / "region", ns=(0, before["region"][1]))
    restore(europa, saved, "--no-network")
    assert {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in saved.iterdir()} == before


# ---- failures ----

STEPS = ["checkpoint-preflight", "checkpoint-begin", "checkpoint-partial", "checkpoint-config", "checkpoint-freeze", "checkpoint-settle",
         "checkpoint-stop", "checkpoint-region", "checkpoint-processes", "checkpoint-manifest", "checkpoint-commit"]


@pytest.fixture(scope="module")
def faults():
    """The build that fails, or is killed, where it is told to."""
    done = command("make", "-C", ROOT, "FAULTS=1", "faulty", check=False, timeout=900)
    if done.returncode:
        pytest.fail(f"make FAULTS=1: {done.stderr}")
    return command(FAULTS / "bin" / "europa-restore", env=dict(os.environ, EUROPA_FAULT="list")).stdout.split()


def with_fault(europa, what, *argv, **environment):
    return europa.home.run(FAULTS / "bin" / f"europa-{what}", *argv, env=dict(europa.env, **environment), check=False)


def goes_on(routed, pids, directory):
    wait_for(lambda: routed.vr.stat()["switch"]["status"] == "attached", "the VR to go on")
    assert routed.vr.pids() == pids
    wait_for(lambda: not list(Path(directory).parent.glob(f"{Path(directory).name}*")), "nothing to be left")
    passes(routed)


def test_a_step_that_fails_leaves_the_vr_running_and_nothing_behind(routed, faults, tmp_path):
    passes(routed)
    pids = routed.vr.pids()
    for step in STEPS:
        done = with_fault(routed.europa, "checkpoint", routed.vr.name, tmp_path / "saved", EUROPA_FAULT=step)
        assert done.returncode == 1 and f'"{step}"' in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr
        nothing_in(tmp_path / "saved")
        goes_on(routed, pids, tmp_path / "saved")


def test_the_tool_killed_at_any_step(routed, faults, tmp_path):
    tool_killed_at_any_step(routed, tmp_path, "warm")


def tool_killed_at_any_step(routed, tmp_path, mode):
    """Either there is a checkpoint and the VR has stopped for good, or there is none and the VR runs."""
    passes(routed)
    pids = routed.vr.pids()
    for step in STEPS:
        done = with_fault(routed.europa, "checkpoint", "--mode", mode, routed.vr.name, tmp_path / "saved", EUROPA_FAULT_KILL=step)
        assert done.returncode == -signal.SIGKILL, step
        goes_on(routed, pids, tmp_path / "saved")
    done = with_fault(routed.europa, "checkpoint", "--mode", mode, routed.vr.name, tmp_path / "saved", EUROPA_FAULT_KILL="checkpoint-committed")
    assert done.returncode == -signal.SIGKILL
    wait_for(lambda: not routed.vr.leftovers(), "the VR to have ended")
    assert {path.name for path in tmp_path.glob("saved*")} == {"saved"}
    restore(routed.europa, tmp_path / "saved")
    passes(routed)


@pytest.mark.parametrize("step", ["serve-begin", "serve-freeze", "serve-stop", "serve-commit"])
def test_the_supervisors_steps(europa, faults, tmp_path, step):
    """Where one fails the VR goes on; where the supervisor is killed the VR dies with it, and there is no checkpoint."""
    for kind in ("EUROPA_FAULT", "EUROPA_FAULT_KILL"):
        vr = VR(europa, europa.name())
        europa.vrs.append(vr)
        done = with_fault(europa, "run", "--detach", "--name", vr.name, *europa.switch(), "--vnics", "1", ROOT / "image" / "nullfwd", **{kind: step})
        assert done.returncode == 0, done.stderr
        done = europa("checkpoint", vr.name, tmp_path / "saved", check=False)
        assert done.returncode == 1, done
        if kind == "EUROPA_FAULT":
            assert f'"{step}"' in done.stderr
            nothing_in(tmp_path / "saved")
            assert vr.state()["status"] == "running"
            wait_for(lambda: vr.stat()["switch"]["status"] == "attached", "the VR to go on")
        else:
            assert "ended meanwhile" in done.stderr or "supervisor" in done.stderr
            nothing_in(tmp_path / "saved")
        vr.kill("--time", "0")


def test_the_supervisor_killed_after_it_has_committed(europa, faults, tmp_path):
    """Nobody tells the tool, which sees that the checkpoint is there all the same."""
    vr = VR(europa, europa.name())
    europa.vrs.append(vr)
    done = with_fault(europa, "run", "--detach", "--name", vr.name, *europa.switch(), "--vnics", "1", ROOT / "image" / "nullfwd",
                      EUROPA_FAULT_KILL="serve-committed")
    assert done.returncode == 0, done.stderr
    checkpoint(vr, tmp_path / "saved")
    assert {path.name for path in tmp_path.glob("saved*")} == {"saved"}
    europa("kill", "--time", "0", vr.name, check=False)
    wait_for(lambda: not vr.leftovers(), "the VR to have ended")
    restore(europa, tmp_path / "saved")


def test_a_restore_that_fails_or_is_killed_at_any_step(europa, faults, saved):
    """Nothing is left, and the checkpoint restores the next time, with its packets."""
    vr = europa.vrs[-1]
    packets = json.loads((saved / "manifest.json").read_text())["rx_packets"]
    restore_fails_at_any_step(vr, faults, saved)
    # Some let the data plane begin, so the packets may have gone.
    restored = restore(europa, saved, "--no-network", "--replay")
    wait_for(lambda: sum((restored.stat()["vnics"][1]["drops"] or {}).values()) + restored.stat()["vnics"][1]["tx_packets"] == packets, "the packets")


def restore_fails_at_any_step(vr, faults, saved, *options):
    # Those behind "announce" are the VR's own process's, which nobody kills by itself.
    supervisors = faults[:faults.index("announce") + 1]
    for step in faults:
        for kind in ("EUROPA_FAULT", "EUROPA_FAULT_KILL") if step in supervisors else ("EUROPA_FAULT",):
            done = with_fault(vr.europa, "restore", "--detach", "--no-network", *options, saved, **{kind: step})
            assert done.returncode != 0, step
            if kind == "EUROPA_FAULT":
                assert f'fault injected at step "{step}"' in done.stderr, f"{step}: {done.stderr}"
            nothing_runs(vr, f"after {step}")


def nothing_runs(vr, when):
    """Of a restore that has failed; whoever is killed leaves it to the next command to look after what he has had."""
    vr.europa("ps", "-a")
    vr.europa("kill", "--time", "0", vr.name, check=False)
    wait_for(lambda: not vr.leftovers(), f"nothing to be left {when}: {vr.leftovers()}", timeout=15)


def test_a_full_disk(routed, tmp_path):
    """Whichever file finds no room is named, the VR goes on, and the disk is as full as before."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command("mount", "-t", "tmpfs", "-o", "size=64k,nr_inodes=20", "none", disk)
    try:
        passes(routed)
        seen = set()
        for free in (0, 1, 2):
            (disk / "filler").write_bytes(bytes(65536 - 4096 * free))
            why = fails(routed.vr, disk / "saved")
            assert "No space left" in why
            seen |= {name for name in FILES if f'"{name}"' in why}
            assert [path.name for path in disk.iterdir()] == ["filler"]
            passes(routed)
        assert len(seen) > 1, seen
        (disk / "filler").unlink()
        checkpoint(routed.vr, disk / "saved")
        shutil.copytree(disk / "saved", tmp_path / "saved")
    finally:
        command("umount", disk)
    restore(routed.europa, tmp_path / "saved")
    passes(routed)
