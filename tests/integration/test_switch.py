# SPDX-License-Identifier: MIT
"""
A switch by itself: registrations, ports and its own death, with VRs that have no container (vr_driver.c). What is europad's alone, its socket
and its processes, is marked so; test_module.py has the module's.

    a --- <vr>-v0 [vNIC 0  data plane  vNIC 1] <vr>-v1 --- b

vr_driver makes a region, registers it, attaches its vNICs and has a child play the data plane; it obeys lines on its input.
"""
import array
import contextlib
import errno
import fcntl
import os
import re
import resource
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.layers.vxlan import VXLAN

from conftest import BUILD, Host, PREFIX, SWITCH, data_planes_ends, process_env, process_name, process_state, processes, serial, wait_for

europads = pytest.mark.skipif(SWITCH == "kmod", reason="europad's own")
# A device is the vNIC's own however europad receives from it; to the module the two are one.
own_devices = pytest.mark.parametrize("kind", ["device"] if SWITCH == "kmod" else ["device", "xdp"])

A, B, ALL = "02:00:00:00:00:0a", "02:00:00:00:00:0b", "ff:ff:ff:ff:ff:ff"
# What a packet socket with offloads wants in front of a super-packet: NEEDS_CSUM, GSO_TCPV4, 54 bytes of headers, segments of 1448.
SUPER_TCP = struct.pack("<BBHHHH", 1, 1, 54, 1448, 34, 16)


class Driver:
    """One VR."""

    def __init__(self, switch, name, mode, *ports, slots=2048):
        self.name, self.switch = name, switch
        self.child = switch.home.popen(BUILD / "tests" / "vr_driver", name, mode, *ports, env=dict(switch.env, SLOTS=str(slots)),
                                       stdin=subprocess.PIPE, stderr=switch.log)
        self.said = self.child.stdout.readline().strip()

    def ask(self, line):
        self.child.stdin.write(line + "\n")
        self.child.stdin.flush()
        return self.child.stdout.readline().strip()

    def values(self, line):
        said = self.ask(line)
        assert said.startswith("ok"), said
        return {k: int(v) if v.isdigit() else v for k, v in (word.split("=", 1) for word in said.split()[1:])}

    def stats(self, n):
        return self.values(f"stats {n}")

    def census(self):
        return self.values("census")

    def device(self, n):
        return self.stats(n)["device"]

    def up(self, n):
        return self.stats(n)["up"] == 1

    def move(self, n, host):
        """The user's end of vNIC n into a host's namespace; returns its name."""
        device = self.device(n)
        self.switch.home.ip("link", "set", device, "netns", host.name)
        host.ip("link", "set", device, "up")
        wait_for(lambda: self.up(n), "carrier")
        return device

    def all_slots(self):
        """True when the switch has every slot but those that it keeps in the alloc ring."""
        c = self.census()
        return c["switch_slots"] == c["free_slots"] == c["slots"] - min(128, c["slots"] // 8) and c["switch_runs"] == c["runs"]

    def quit(self):
        self.child.stdin.close()
        self.child.wait(20)


class Switch:
    def __init__(self):
        self.run_dir = Path(tempfile.mkdtemp(prefix="europa-"))
        self.env = dict(os.environ, EUROPA_RUN_DIR=str(self.run_dir))
        self.stem = f"{PREFIX}{next(serial)}"
        self.log = open(self.run_dir / "drivers.log", "w")
        self.hosts, self.wires, self.drivers = [], [], []
        self.home, self.a, self.b = self.host("h"), self.host("a"), self.host("b")

    def host(self, name):
        self.hosts.append(Host(self.stem + name))
        return self.hosts[-1]

    def vr(self, mode, *ports, name=None, **options):
        driver = Driver(self, name or f"{self.stem}{len(self.drivers)}", mode, *ports, **options)
        assert driver.said == "ready", driver.said
        self.drivers.append(driver)
        return driver

    def wire(self, host, device, offloads=False):
        self.wires.append(host.wire(device, offloads))
        return self.wires[-1]

    def between(self, mode="forward", offloads=False, kind="device", **options):
        """A VR, and a wire to each of its two devices, in a and in b."""
        vr = self.vr(mode, kind, kind, **options)
        return vr, *(self.wire(host, vr.move(n, host), offloads) for n, host in enumerate((self.a, self.b)))

    def pids(self):
        return [pid for pid in processes() if process_name(pid) == "europad" and process_env(pid, "EUROPA_RUN_DIR") == str(self.run_dir)]

    def pid(self):
        return wait_for(lambda: self.pids(), "europad")[0]

    def nothing_left(self):
        mounts = [line for line in Path("/proc/self/mounts").read_text().splitlines() if str(self.run_dir) in line]
        files = {path.name for path in self.run_dir.iterdir()} - {"switch.lock", "switch.log", "drivers.log"}
        devices = [name for host in self.hosts for name in host.names() if re.match(rf"{self.stem}\d", name)]
        return not (self.pids() or mounts or files or devices)

    def connect(self):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        s.settimeout(20)
        s.connect(str(self.run_dir / "switch.sock"))
        return s

    def finish(self):
        for driver in self.drivers:
            if driver.child.poll() is None:
                driver.quit()
        wait_for(self.nothing_left, "nothing to be left of the switch")

    def remove(self):
        for pid in self.pids():
            os.kill(pid, signal.SIGKILL)
        subprocess.run(["umount", "-l", self.run_dir / "netns" / "switch"], stderr=subprocess.DEVNULL)
        for wire in self.wires:
            wire.close()
        for host in self.hosts:
            host.remove()
        self.log.close()
        shutil.rmtree(self.run_dir, ignore_errors=True)


@pytest.fixture
def switch():
    s = Switch()
    try:
        yield s
        s.finish()
    finally:
        s.remove()


def frame(dst=B, src=A, size=60, **ip):
    headers = Ether(src=src, dst=dst) / IP(src="10.0.0.1", dst=ip.get("to", "10.0.0.2")) / UDP(sport=1, dport=ip.get("port", 9))
    return headers / bytes(i & 255 for i in range(size - len(headers)))


def same(sent):
    return lambda got: bytes(got) == bytes(sent)


@own_devices
# ---- devices of the vNICs' own ----

@pytest.mark.parametrize("size", [60, 64, 1514])
def test_frames_pass_unchanged_in_both_directions(switch, kind, size):
    vr, left, right = switch.between(kind=kind)
    left.send(frame(size=size))
    right.expect(same(frame(size=size)))
    right.send(frame(dst=A, src=B, size=size))
    left.expect(same(frame(dst=A, src=B, size=size)))
    wait_for(vr.all_slots, "all slots back")


@own_devices
def test_vlan_tags_pass(switch, kind):
    vr, left, right = switch.between(kind=kind)
    tagged = Ether(src=A, dst=B) / Dot1Q(vlan=5, prio=3) / IP(src="10.0.0.1", dst="10.0.0.2") / UDP() / bytes(50)
    left.send(tagged)
    # Kernels differ in whether a packet socket shows the tag in the frame or apart from it.
    untagged = bytes(tagged)[:12] + bytes(tagged)[16:]
    right.expect(lambda f: bytes(f) in (bytes(tagged), untagged))
    assert vr.stats(0)["rx_bytes"] == len(tagged) - 4       # in the slot: metadata


def test_super_packets_pass_with_their_offloads(switch):
    """A TCP super-packet with a partial checksum comes out as it went in: one frame, same segment size, same checksum fields."""
    vr, left, right = switch.between(offloads=True)
    tcp = bytes(Ether(src=A, dst=B) / IP(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=1, dport=2) / bytes(40000))
    left.send(SUPER_TCP + tcp)

    got = next(f for f in right.frames() if len(f) > 1000)
    flags, gso, _, size, start, offset = struct.unpack("<BBHHHH", got[:10])
    assert (flags & 1, gso, size, start, offset) == (1, 1, 1448, 34, 16)
    assert got[10:] == tcp
    wait_for(vr.all_slots, "all slots and runs back")


def test_device_names_are_unique_and_fit(switch):
    long = "a-long-name-for-a-router-"
    one, two = (switch.vr("none", *["device"] * 11, name=long + end) for end in "ab")
    names = [vr.device(n) for vr in (one, two) for n in range(11)]
    assert len(set(names)) == 22
    assert all(len(name) <= 15 and re.search(r"-v\d+$", name) for name in names)
    assert (names[3], names[21]) == ("a-longa7175-v3", "a-longa6cbc-v10")       # from whichever switch
    assert set(names) <= set(switch.home.devices())
    for host in switch.hosts[:1]:
        for name in names:
            host.ip("link", "del", name)


def test_a_name_that_was_chosen_and_is_taken_becomes_another(switch):
    """Of a name that is too long five digits stand for the rest: among a thousand that begin alike, two have the same."""
    long = f"{switch.stem}-a-long-name-for-a-router"
    vr = switch.vr("none", "device", name=long)
    taken = vr.device(0)
    vr.quit()
    switch.home.ip("link", "add", taken, "type", "bridge")
    other = switch.vr("none", "device", name=long).device(0)
    assert other != taken and len(other) <= 15 and {other, taken} <= set(switch.home.devices())
    switch.home.ip("link", "del", taken)


def test_a_wanted_name_address_and_mtu_are_kept(switch):
    vr = switch.vr("none", "device=" + switch.stem + "9x")
    stats, device = vr.stats(0), switch.home.devices()[switch.stem + "9x"]
    assert stats["device"] == switch.stem + "9x"
    assert stats["mac"].startswith("02:") and device["address"].startswith("06:")       # the VR's, and the host's own
    assert stats["mtu"] == device["mtu"] == 1500


def test_a_name_that_is_taken_is_refused(switch):
    switch.home.ip("link", "add", "taken", "type", "bridge")
    vr = Driver(switch, switch.stem + "0", "none", "device=taken")
    assert vr.said.startswith("error 17") and '"taken"' in vr.said
    vr.child.wait(20)


@own_devices
def test_carrier_follows_the_device(switch, kind):
    vr, left, right = switch.between(kind=kind)
    switch.a.ip("link", "set", vr.device(0), "down")
    wait_for(lambda: not vr.up(0), "the vNIC to go down")
    right.send(frame())
    wait_for(lambda: vr.stats(0).get("tx_down") == 1, "the frame to be counted")
    switch.a.ip("link", "set", vr.device(0), "up")
    wait_for(lambda: vr.up(0), "the vNIC to come up")
    left = switch.wire(switch.a, vr.device(0))
    right.send(frame())
    left.expect(same(frame()))


@own_devices
def test_a_deleted_device_is_a_vnic_that_is_down(switch, kind):
    vr, left, right = switch.between(kind=kind)
    switch.a.ip("link", "del", vr.device(0))
    wait_for(lambda: not vr.up(0), "the vNIC to go down")
    right.send(frame())
    wait_for(lambda: vr.stats(0).get("tx_down") == 1, "the frame to be counted")
    wait_for(vr.all_slots, "all slots back")
    # And it can be had anew.
    assert vr.ask("detach 0") == "ok"
    assert vr.ask(f"attach 0 {kind}") == "ok"
    left = switch.wire(switch.a, vr.move(0, switch.a))
    right.send(frame())
    left.expect(same(frame()))


@own_devices
def test_a_bridged_device_works(switch, kind):
    vr, left, right = switch.between(kind=kind)
    switch.b.ip("link", "add", "bridge0", "type", "bridge")
    switch.b.ip("link", "set", "bridge0", "up")
    switch.b.ip("link", "set", vr.device(1), "master", "bridge0")
    bridge = switch.wire(switch.b, "bridge0")
    left.send(frame(dst=ALL))
    bridge.expect(same(frame(dst=ALL)))


def test_a_vr_that_keeps_what_it_gets_loses_frames_of_its_own_alone(switch):
    greedy = switch.vr("hold", "device", slots=64)
    flood = switch.wire(switch.a, greedy.move(0, switch.a))
    vr = switch.vr("forward", "device", "device")
    left, right = (switch.wire(host, vr.move(n, host)) for n, host in enumerate((switch.a, switch.b)))
    for _ in range(300):
        flood.send(frame())
        left.send(frame())
    wait_for(lambda: greedy.stats(0).get("rx_no_slot", 0) >= 300 - 64, "the greedy VR's drops")
    wait_for(lambda: vr.stats(1)["tx_packets"] >= 300, "all frames of the other one")
    assert not {k for k in vr.stats(0) if k.startswith("rx_no") or k.startswith("rx_ring")}
    wait_for(vr.all_slots, "all slots back")


def numbered(n):
    return frame(port=1000 + n)


def let_in_later(switch, vr, left, right, n):
    """Frames that come to a device while the VR is shut wait for it in europad's ring; the module counts them."""
    before = vr.stats(0)
    for i in range(n):
        left.send(numbered(i))
    if SWITCH == "kmod":
        wait_for(lambda: vr.stats(0).get("rx_down", 0) - before.get("rx_down", 0) == n, "the frames to be counted")
    yield
    if SWITCH != "kmod":
        for i in range(n):
            right.expect(same(numbered(i)))
        assert vr.stats(0).get("rx_down", 0) == before.get("rx_down", 0)


@own_devices
@pytest.mark.parametrize("how", [1, 2])
def test_quiesced_nothing_comes_in(switch, kind, how):
    vr, left, right = switch.between(kind=kind)
    left.send(frame())
    right.expect(same(frame()))
    before = vr.stats(0)["rx_packets"]
    assert vr.ask(f"quiesce {how}") == "ok"
    for _ in let_in_later(switch, vr, left, right, 50):
        assert vr.stats(0)["rx_packets"] == before
        assert vr.ask("quiesce 0") == "ok"
    left.send(frame())
    right.expect(same(frame()))
    wait_for(vr.all_slots, "all slots back")


@europads
@own_devices
def test_frames_that_waited_at_a_device_that_goes_are_counted(switch, kind):
    vr, left, right = switch.between(kind=kind)
    assert vr.ask("quiesce 1") == "ok"
    for i in range(50):
        left.send(numbered(i))
    assert vr.ask("detach 0") == "ok"
    assert vr.stats(0)["rx_down"] == 50


def test_fenced_what_is_inside_still_leaves(switch):
    vr, left, right = switch.between()
    assert vr.ask("stop") == "ok"
    for i in range(50):
        left.send(numbered(i))
    wait_for(lambda: vr.stats(0)["rx_packets"] == 50, "the frames to be in the ring")
    assert vr.ask("quiesce 2") == "ok"
    assert vr.ask("cont") == "ok"
    for i in range(50):
        right.expect(same(numbered(i)))
    wait_for(vr.all_slots, "all slots back")
    assert vr.ask("quiesce 0") == "ok"


@europads
def test_frames_that_wait_outside_keep_europad_from_nothing(switch):
    """It neither spins for them, nor do others wait."""
    shut, left, right = switch.between()
    other = switch.vr("forward", "device", "device")
    to, fro = (switch.wire(host, other.move(n, host)) for n, host in enumerate((switch.a, switch.b)))
    assert shut.ask("quiesce 2") == "ok"
    for _ in let_in_later(switch, shut, left, right, 20):
        to.send(frame())
        fro.expect(same(frame()))
        ticks = Path(f"/proc/{switch.pid()}/stat").read_text().rsplit(")")[-1].split()[11:13]
        time.sleep(2)
        later = Path(f"/proc/{switch.pid()}/stat").read_text().rsplit(")")[-1].split()[11:13]
        assert sum(map(int, later)) - sum(map(int, ticks)) < 50, "half a second of two"
        assert shut.ask("quiesce 0") == "ok"


def test_a_data_plane_hands_its_state_over_and_goes_on(switch):
    vr, left, right = switch.between()
    received = 0
    for turn in range(5):
        for i in range(20):
            left.send(numbered(i))
        for i in range(20):
            right.expect(same(numbered(i)))
        received += 20
        assert vr.ask("quiesce 2") == "ok"
        said = vr.values("ask 1")
        assert (said["answered"], said["said"], said["received"]) == (1, 0, received)
        assert vr.ask("quiesce 1") == "ok"
        c = vr.census()
        assert c["switch_slots"] == c["free_slots"]
        for _ in let_in_later(switch, vr, left, right, 20):
            vr.values("ask 0")
            assert vr.ask("quiesce 0") == "ok"
        received += 20 if SWITCH != "kmod" else 0
    wait_for(vr.all_slots, "all slots back")


def test_a_data_plane_without_a_state_says_so(switch):
    vr = switch.vr("mute", "device")
    said = vr.values("ask 1")
    assert (said["answered"], said["said"]) == (1, f"-{errno.EOPNOTSUPP}")
    assert vr.values("ask 0")["answered"] == 1


@europads
def test_the_next_europad_withdraws_what_the_last_one_asked(switch):
    vr, left, right = switch.between()
    old = switch.pid()
    assert vr.ask("quiesce 2") == "ok"
    assert vr.values("ask 1")["said"] == 0
    os.kill(old, signal.SIGKILL)
    wait_for(lambda: [pid for pid in switch.pids() if pid != old], "another europad")
    wait_for(lambda: vr.up(0) and vr.up(1), "the vNICs to be up again")
    left.send(frame())
    right.expect(same(frame()))
    wait_for(vr.all_slots, "all slots back")


@own_devices
# ---- death ----

@pytest.mark.parametrize("mode", ["forward", "echo", "hold"])
def test_a_vr_that_dies_under_load_leaves_nothing(switch, kind, mode):
    vr, left, right = switch.between(mode, kind=kind)
    for _ in range(200):
        left.send(frame())
    vr.child.kill()
    wait_for(switch.nothing_left, "nothing to be left")


@own_devices
@europads
def test_europad_killed_under_load_is_succeeded_and_no_slot_is_lost(switch, kind):
    vr, left, right = switch.between(kind=kind)
    other = switch.vr("forward", kind, kind)
    ifindex = switch.a.devices()[vr.device(0)]["ifindex"]
    for _ in range(5):
        for _ in range(200):
            left.send(frame())
        old = switch.pid()
        os.kill(old, signal.SIGKILL)
        for _ in range(200):
            left.send(frame())
        wait_for(lambda: [pid for pid in switch.pids() if pid != old], "another europad")
        wait_for(lambda: vr.up(0) and vr.up(1) and other.up(0), "the vNICs to be up again")
        right_end = frame(src="02:00:00:00:00:ee")
        wait_for(lambda: (left.send(right_end), vr.stats(1)["tx_packets"])[1], "frames")
        right.expect(same(right_end))
        wait_for(vr.all_slots, "all slots accounted for")
        wait_for(other.all_slots, "all slots of the other one accounted for")
    # The same device, not a new one of the same name: whatever the user did with it holds.
    assert switch.a.devices()[vr.device(0)]["ifindex"] == ifindex


@own_devices
@europads
def test_told_to_end_europad_leaves_living_vrs_to_its_successor(switch, kind):
    vr, left, right = switch.between(kind=kind)
    old = switch.pid()
    os.kill(old, signal.SIGTERM)
    wait_for(lambda: [pid for pid in switch.pids() if pid != old], "another europad")
    wait_for(lambda: vr.up(0) and vr.up(1), "the vNICs to be up again")
    left.send(frame())
    right.expect(same(frame()))


@europads
def test_europad_ends_where_its_run_directory_is_gone(switch):
    """Nobody can come any more, and there is no lock to take for leaving."""
    vr = switch.vr("forward", "device")
    old = switch.pid()
    subprocess.run(["umount", "-l", switch.run_dir / "netns" / "switch"], stderr=subprocess.DEVNULL)
    shutil.rmtree(switch.run_dir)
    vr.quit()
    wait_for(lambda: not switch.pids(), f"europad {old} to end")
    switch.run_dir.mkdir(mode=0o700)


@europads
def test_what_a_killed_switch_left_is_removed(switch):
    """A VR that never comes back, its switch killed with it: the next switch waits for it for a while, and not for ever."""
    vr = switch.vr("none", "device")
    device = vr.device(0)
    os.kill(vr.child.pid, signal.SIGSTOP)
    os.kill(switch.pid(), signal.SIGKILL)
    wait_for(lambda: not switch.pids(), "the switch to end")
    vr.child.kill()
    vr.child.wait()
    assert device in switch.home.devices()
    switch.vr("none", "device", name=switch.stem + "x")
    wait_for(lambda: device not in switch.home.devices(), "the device to be removed", 30)


@europads
def test_many_start_a_switch_at_once_and_there_is_one(switch):
    children = [switch.home.popen(BUILD / "tests" / "vr_driver", f"{switch.stem}{n}", "none", "device", env=switch.env,
                                  stdin=subprocess.PIPE, stderr=switch.log) for n in range(8)]
    assert [child.stdout.readline().strip() for child in children] == ["ready"] * 8
    assert len(switch.pids()) == 1
    for child in children:
        child.stdin.close()
        child.wait(20)


@europads
def test_vrs_that_come_and_go_never_miss_the_switch(switch):
    """One by one, at every distance from the moment in which europad leaves."""
    for n in range(12):
        vr = switch.vr("none", name=f"{switch.stem}{n}")
        vr.quit()
        if n % 3:
            wait_for(lambda: n % 3 == 1 or not switch.pids(), "europad to leave", step=0.001)


# ---- shared NICs ----

@pytest.fixture
def nic(switch):
    switch.home.ip("link", "add", "nic", "type", "veth", "peer", "name", "wire", "netns", switch.a.name)
    switch.home.ip("link", "set", "nic", "up")
    switch.a.ip("link", "set", "wire", "up")
    return switch.wire(switch.a, "wire")


RULES = [
    ("vlan 5", Ether(src=A, dst=B) / Dot1Q(vlan=5) / IP(dst="10.1.0.1") / UDP() / bytes(20)),
    ("ethertype 0x88b5", Ether(src=A, dst=B, type=0x88b5) / bytes(50)),
    ("ip 10.2.0.0/16", Ether(src=A, dst=B) / IP(dst="10.2.3.4") / UDP() / bytes(20)),
    ("udp 777", Ether(src=A, dst=B) / IP(dst="10.3.0.1") / UDP(dport=777) / bytes(20)),
    ("vxlan 42", Ether(src=A, dst=B) / IP(dst="10.3.0.1") / UDP(dport=4789) / VXLAN(vni=42, flags=8) / Ether() / bytes(20)),
    ("filter tcp port 80", Ether(src=A, dst=B) / IP(dst="10.3.0.1") / TCP(dport=80)),
]


def test_each_rule_gets_its_frames(switch, nic):
    vrs = [switch.vr("drop", f"shared=nic,{rule}") for rule, _ in RULES] + [switch.vr("drop", "shared=nic")]
    wait_for(lambda: all(vr.up(0) for vr in vrs), "all up")
    mine = Ether(src=A, dst=vrs[-1].stats(0)["mac"]) / IP(dst="10.3.0.1") / UDP(dport=1) / bytes(20)
    for f in [f for _, f in RULES] + [mine]:
        nic.send(f)
    wait_for(lambda: all(vr.stats(0)["rx_packets"] >= 1 for vr in vrs), "one frame for each")
    nic.send(Ether(src=A, dst="02:00:00:00:77:77") / bytes(50))         # nobody's
    nic.send(Ether(src=A, dst=ALL) / ARP())                             # everybody's
    wait_for(lambda: all(vr.stats(0)["rx_packets"] >= 2 for vr in vrs), "the ARP request for each")
    assert [vr.stats(0)["rx_packets"] for vr in vrs] == [2] * len(vrs)


def test_vnics_of_one_nic_reach_each_other(switch, nic):
    """As a macvlan in bridge mode: unicast inside alone, broadcast inside and outside."""
    one, two = switch.vr("forward", "shared=nic", "device"), switch.vr("drop", "shared=nic", "device")
    inside = switch.wire(switch.b, one.move(1, switch.b))
    to_two = frame(dst=two.stats(0)["mac"])
    inside.send(to_two)
    wait_for(lambda: two.stats(0)["rx_packets"] == 1, "the frame for the neighbour")
    inside.send(frame(dst=ALL))
    wait_for(lambda: two.stats(0)["rx_packets"] == 2, "the broadcast inside")
    seen = nic.until(same(frame(dst=ALL)), "the broadcast outside")
    assert bytes(to_two) not in [bytes(f) for f in seen]
    assert one.stats(0)["rx_packets"] == 0                  # its own it doesn't hear


def test_super_packets_reach_all_that_want_them(switch, nic):
    vrs = [switch.vr("drop", "shared=nic") for _ in range(2)]
    with_offloads = switch.wire(switch.a, "wire", offloads=True)
    tcp = bytes(Ether(src=A, dst=ALL) / IP(dst="10.0.0.255") / TCP() / bytes(30000))
    with_offloads.send(SUPER_TCP + tcp)
    for vr in vrs:
        wait_for(lambda: vr.stats(0)["rx_bytes"] == len(tcp), "the whole super-packet")
    for vr in vrs:
        wait_for(vr.all_slots, "all runs back")


def test_a_shared_nics_smaller_mtu_is_its_vnics(switch, nic):
    """What a VR was told still holds when it grows again; who comes then is told the new one."""
    vrs = [switch.vr("drop", "shared=nic")]
    assert vrs[0].stats(0)["mtu"] == 1500
    switch.home.ip("link", "set", "nic", "mtu", 900)
    wait_for(lambda: vrs[0].stats(0)["mtu"] == 900, "the VR to be told")
    vrs += [switch.vr("drop", "shared=nic")]
    switch.home.ip("link", "set", "nic", "mtu", 1400)
    vrs += [switch.vr("drop", "shared=nic")]
    assert [vr.stats(0)["mtu"] for vr in vrs] == [900, 900, 1400]


def test_a_shared_nic_that_vanishes_is_a_vnic_that_is_down(switch, nic):
    vr = switch.vr("forward", "shared=nic", "device")
    right = switch.wire(switch.b, vr.move(1, switch.b))
    switch.home.ip("link", "del", "nic")
    wait_for(lambda: not vr.up(0), "the vNIC to go down")
    right.send(frame())
    wait_for(lambda: vr.stats(0).get("tx_down") == 1, "the frame to be counted")


@pytest.mark.parametrize("port, says", [
    ("shared=nosuch", '"nosuch"'),
    ("shared=nic,vlan 5000", '"5000" is no VLAN; 1 to 4094 are'),
    ("shared=nic,tcp 80", '"tcp" is no kind of rule'),
    ("shared=nic,filter udp prot 5", "syntax error"),
    ("vr=other", "NAME:NUMBER"),
    ("vr=other:99", '"99"'),
    ("generator=size=1", "size=60..9014"),
    ("generator=speed=1", '"speed=1"'),
])
def test_ports_that_cannot_be_are_refused_by_name(switch, nic, port, says):
    vr = Driver(switch, switch.stem + "0", "none", port)
    assert vr.said.startswith("error ") and says in vr.said
    vr.child.wait(20)


def test_the_same_rule_twice_is_refused(switch, nic):
    switch.vr("drop", "shared=nic,udp 53")
    vr = Driver(switch, switch.stem + "9", "drop", "shared=nic,udp 53")
    assert vr.said.startswith("error ") and "already" in vr.said
    vr.child.wait(20)


@europads
def test_super_packets_that_find_no_room_are_counted_for_each_that_wanted_them(switch, nic):
    """More than the socket's queue holds, while the switch stands still."""
    vrs = [switch.vr("drop", "shared=nic") for _ in range(2)]
    sender = switch.wire(switch.a, "wire", offloads=True)
    tcp = bytes(Ether(src=A, dst=ALL) / IP(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=1, dport=2) / bytes(60000))
    os.kill(switch.pid(), signal.SIGSTOP)
    for _ in range(1000):
        sender.send(SUPER_TCP + tcp)
    os.kill(switch.pid(), signal.SIGCONT)
    for vr in vrs:
        wait_for(lambda: vr.stats(0)["rx_packets"] + sum(vr.stats(0).get(cause, 0) for cause in ("rx_no_run", "rx_ring_full")) == 1000,
                 "every super-packet to be received or counted")
        assert vr.stats(0)["rx_packets"] > 0 and vr.stats(0)["rx_no_run"] > 0
        wait_for(vr.all_slots, "all slots and runs back")


# ---- links and generators ----

@pytest.mark.parametrize("first", [0, 1])
def test_linked_vrs_join_in_either_order_and_again(switch, first):
    names = [f"{switch.stem}{n}" for n in range(2)]
    ports = [("device", f"vr={names[1]}:0"), (f"vr={names[0]}:1", "device")]
    vrs = {n: switch.vr("forward", *ports[n], name=names[n]) for n in (first, 1 - first)}
    left, right = switch.wire(switch.a, vrs[0].move(0, switch.a)), switch.wire(switch.b, vrs[1].move(1, switch.b))
    wait_for(lambda: vrs[0].up(1) and vrs[1].up(0), "the link")
    left.send(frame())
    right.expect(same(frame()))
    assert vrs[1].ask("detach 0") == "ok"
    assert not vrs[0].up(1)
    left.send(frame())
    wait_for(lambda: vrs[0].stats(1).get("tx_down") == 1, "the frame to be counted")
    assert vrs[1].ask(f"attach 0 vr={names[0]}:1") == "ok"
    wait_for(lambda: vrs[0].up(1), "the link again")
    left.send(frame())
    right.expect(same(frame()))
    for vr in vrs.values():
        wait_for(vr.all_slots, "all slots back")


@pytest.mark.parametrize("way", ["linked", "shared"])
def test_what_a_vr_says_of_its_frames_is_not_told_to_another(switch, nic, way):
    """That a checksum was looked at, and a flow's hash: only the switch can know, of what it got from a NIC."""
    names = [f"{switch.stem}{n}" for n in range(2)]
    ports = [f"vr={names[1]}:0", f"vr={names[0]}:0"] if way == "linked" else ["shared=nic"] * 2
    doubter = switch.vr("doubt", ports[1], name=names[1])
    switch.vr("flood", ports[0], name=names[0])
    wait_for(lambda: doubter.stats(0)["rx_packets"] > 1000, "frames")
    assert doubter.ask("quiesce 2") == "ok"
    said = doubter.values("ask 1")
    assert (said["answered"], said["said"], said["received"]) == (1, 0, 0)


def test_a_generator_makes_as_many_as_it_is_told(switch):
    # Fewer slots than a ring has entries: the data plane never finds its tx ring full, and so drops nothing.
    vr = switch.vr("forward", "generator=size=64,burst=32,count=100000", "generator=count=0", slots=512)
    wait_for(lambda: vr.stats(1)["tx_packets"] == 100000, "all frames through")
    assert vr.stats(0)["rx_packets"] == 100000 and vr.stats(0)["rx_bytes"] == 6400000
    wait_for(vr.all_slots, "all slots back")


# ---- what clients may do ----

ATTACH, REGISTER, MAJOR = 2, 1, 1


def reply(s):
    data = s.recv(4096)
    return struct.unpack_from("<i", data)[0], data[8:264].split(b"\0")[0].decode()


def geometry(nslots=64):
    # nvnics, nslots, nruns, run_slots, slot_stride, ring_size, pool_ring_size, alloc_target
    return struct.pack("<8I", 0, nslots, 0, 32, 2112, 16, 64, 0)


def registration(**changes):
    body = struct.pack("<II", 104, 0) + geometry() + changes.get("name", b"x").ljust(64, b"\0")
    return struct.pack("<II", REGISTER, MAJOR) + body


def close(fds):
    for fd in fds:
        os.close(fd)


def memfd(size, seals=7):
    fd = os.memfd_create("test", os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, size)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    return fd


def region_fds(control=4096, pool=143360, seals=7):
    """What a switch is given. The pipes' other ends, the data plane's, stay open until the test has ended."""
    doorbell, kick = os.pipe2(os.O_NONBLOCK), os.pipe2(os.O_NONBLOCK)
    data_planes_ends.extend((doorbell[0], kick[1]))
    return [memfd(control, seals), memfd(pool, seals), doorbell[1], kick[0], os.open("/proc/self/ns/net", os.O_RDONLY)]


def send_fds(s, data, fds):
    s.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))])
    return reply(s)


@europads
def test_descriptors_are_checked(switch):
    switch.vr("none")
    good = region_fds()
    for change, says in [
        (lambda f: f[:4], "4 descriptors came"),
        (lambda f: f[::-1], "is not a memfd"),
        (lambda f: [os.open("/dev/null", os.O_RDWR)] + f[1:], "control is not a memfd"),
        (lambda f: [memfd(8192)] + f[1:], "control has 8192 bytes"),
        (lambda f: [f[0], memfd(4096)] + f[2:], "pool has 4096 bytes"),
        (lambda f: region_fds(seals=0)[:2] + f[2:], "seals"),
        (lambda f: region_fds(seals=3)[:2] + f[2:], "seals"),
        (lambda f: region_fds(seals=15)[:2] + f[2:], "seals"),
        (lambda f: [os.open(f"/proc/self/fd/{f[0]}", os.O_RDONLY)] + f[1:], "not open for reading and writing"),
        (lambda f: f[:2] + [f[3], f[2], f[4]], "writing end"),
        (lambda f: f[:3] + [os.pipe()[0], f[4]], "reading end"),
        (lambda f: f[:4] + [os.open("/proc/self/ns/mnt", os.O_RDONLY)], "not a network namespace"),
    ]:
        with switch.connect() as s:
            status, text = send_fds(s, registration(), change(good))
            assert status < 0 and says in text, text
    with switch.connect() as s:
        assert send_fds(s, registration(), good) == (0, "")
        status, text = send_fds(s, registration(name=b"y"), good)
        assert status < 0 and "already" in text
    with switch.connect() as s:
        status, text = send_fds(s, registration(), good)
        assert status < 0 and "adopted" in text             # served before


@europads
def test_garbage_is_answered_and_harms_nobody(switch):
    vr, left, right = switch.between()
    with switch.connect() as s:
        for data in [b"x", b"\0" * 8, b"\xff" * 4000, struct.pack("<II", ATTACH, MAJOR), struct.pack("<III", ATTACH, MAJOR, 1 << 31),
                     registration(name=b"../x"), registration(name=b"a\nb"), struct.pack("<II", 5, 1), os.urandom(2000)]:
            s.send(data)
            status, text = reply(s)
            assert status < 0 and text and text.isprintable()
    left.send(frame())
    right.expect(same(frame()))


@europads
def test_a_client_that_leaves_half_way_leaves_nothing(switch):
    switch.vr("none")
    for _ in range(20):
        s, fds = switch.connect(), region_fds()
        s.sendmsg([registration()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))])
        s.close()
        close(fds)
    with switch.connect() as s:
        assert send_fds(s, registration(), region_fds()) == (0, "")


@europads
def test_the_socket_is_root_s_alone(switch):
    switch.vr("none")
    assert (switch.run_dir / "switch.sock").stat().st_mode & 0o777 == 0o700


# ---- a switch that has used up its descriptors ----

NO_DESCRIPTORS = "the switch has no descriptors left, its limit is "


@contextlib.contextmanager
def descriptors(pid, n):
    """A process that may have n of them and no more, meanwhile."""
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (n, hard))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))


def connect_and_ask(switch):
    """A connection, and what is said to a request that nobody takes."""
    s = switch.connect()
    with contextlib.suppress(BrokenPipeError):      # turned away before it has asked
        s.send(b"x")
    return s, reply(s)


def use_up_descriptors(switch):
    """Connections that are served, until one is turned away."""
    served = []
    while True:
        s, (status, text) = connect_and_ask(switch)
        if status == -errno.EMFILE:
            assert NO_DESCRIPTORS in text
            s.close()
            return served
        assert "a request has at least" in text
        served.append(s)


def sleeps(pid):
    return process_state(pid) == "S"


@europads
def test_who_comes_when_no_descriptor_is_left_is_told_so(switch):
    vr, left, right = switch.between()
    pid = switch.pid()
    log = switch.run_dir / "switch.log"
    with descriptors(pid, 60):
        served = use_up_descriptors(switch)
        for _ in range(3):
            vr_too_many = Driver(switch, switch.stem + "9", "none", "device")
            assert vr_too_many.said == f"error 24 {NO_DESCRIPTORS}60: Too many open files"
            vr_too_many.child.wait(20)
        # One attempt each, and then it sleeps; those that are served notice nothing.
        wait_for(lambda: sleeps(pid), "the control thread to sleep")
        assert log.read_text().count("is turned away") == 4
        left.send(frame())
        right.expect(same(frame()))

        # There is one for the connection, then for some of what goes with a registration, then for all.
        said = ""
        while said != "ready":
            served.pop().close()
            latest = Driver(switch, switch.stem + "9", "none", "device")
            said = latest.said
            if said != "ready":
                assert NO_DESCRIPTORS in said
                latest.child.wait(20)
        switch.drivers.append(latest)
        assert len(served) > 0
        for s in served:
            s.close()


@europads
def test_who_cannot_even_be_told_waits_without_keeping_the_switch_busy(switch):
    vr = switch.vr("none", "device")
    pid = switch.pid()
    with descriptors(pid, 3), switch.connect() as s:
        s.send(b"x")
        wait_for(lambda: sleeps(pid), "the control thread to sleep")
        assert vr.ask("detach 0") == "ok"       # others are served
    with switch.connect() as s:
        s.send(b"x")
        assert "a request has at least" in reply(s)[1]


@europads
def test_sockets_are_prepared_again_once_there_are_descriptors(switch):
    vr = switch.vr("none", "none")
    pid = switch.pid()
    log = switch.run_dir / "switch.log"

    def sockets():
        return len(Path(f"/proc/{pid}/net/packet").read_text().splitlines()) - 1

    wait_for(lambda: sockets() == 4, "four sockets to be ready before anybody asks")
    assert vr.ask("detach 0") == "ok"
    with descriptors(pid, 3):
        assert vr.ask("attach 0 device") == "ok"
        wait_for(lambda: "no spare socket" in log.read_text(), "the shortage to be noticed")
    assert vr.ask("detach 0") == "ok"
    assert vr.ask("attach 0 device") == "ok"
    wait_for(lambda: sockets() == 5, "four sockets to be ready again, beside the vNIC's")


# ---- the watchdog ----

def test_frames_that_nobody_takes_are_counted_as_a_stall(switch):
    vr = switch.vr("none", "device", "device")
    wire = switch.wire(switch.a, vr.move(0, switch.a))
    assert vr.stats(0)["stalls"] == 0
    wire.send(Ether(src=A, dst=ALL) / b"nobody takes this one")
    wait_for(lambda: vr.stats(0)["stalls"] >= 2, "stalls")
    assert vr.stats(1)["stalls"] == 0


def test_a_kick_that_gets_lost_delays_and_is_counted(switch):
    vr = switch.vr("mute", "device")
    wire = switch.wire(switch.a, vr.move(0, switch.a))
    for _ in range(3):
        wire.send(Ether(src=A, dst=ALL) / b"dropped in silence")
    # From memory: to ask the switch would wake it.
    wait_for(lambda: vr.stats(0)["missed"] > 0, "missed kicks to be counted")
    wait_for(lambda: vr.stats(0)["rx_packets"] >= 3 and vr.all_slots(), "the slots to come back")
