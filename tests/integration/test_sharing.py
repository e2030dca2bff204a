# SPDX-License-Identifier: MIT
"""
Several vNICs on one NIC, told apart by rule, and vNICs joined to each other.

    wire --- nic ---+--- vNIC 0 of one VR, RULE
    (packet socket) +--- vNIC 0 of another, RULE

Every VR is nullfwd over two vNICs: what it takes in on vNIC 0 comes out at its device <vr>-v1, where the test listens.
"""
import re

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.layers.vxlan import VXLAN

from conftest import IMAGES, SWITCH, process_state, stopped, wait_for

ME, ANY = "02:00:00:00:00:0a", "02:00:00:00:00:ff"


class SharedNic:
    """As Europa.share_nic has it, and the VRs on it."""

    def __init__(self, europa, a):
        self.europa, self.a = europa, a
        europa.share_nic(a)
        self.wire = europa.wire(a, "wire")
        self.sides, self.vrs = [], []

    def add(self, rule, *options):
        vr = self.europa.start("nullfwd", "--vnics", 2, "--link", f"0=nic{',' + rule if rule else ''}", *options)
        host = self.europa.host(f"s{len(self.vrs)}")
        self.vrs.append(vr)
        self.sides.append(self.europa.wire(host, vr.join(1, host)))
        return vr

    def mac(self, n):
        return self.vrs[n].state()["vnics"][0]["mac"]

    def takers(self, frame):
        """Which VRs get a frame: a marker to each one's own MAC follows it, and what came before the marker is counted."""
        self.wire.send(frame)
        takers = []
        for n, side in enumerate(self.sides):
            self.wire.send(Ether(src=ME, dst=self.mac(n)) / IP(dst="192.0.2.9") / UDP(sport=9, dport=9) / b"marker")
            seen = side.until(lambda f: f.dst == self.mac(n) and UDP in f and bytes(f[UDP].payload)[:6] == b"marker")
            takers += [n] * sum(bytes(f)[:len(frame)] == bytes(frame) for f in seen)
        return takers


@pytest.fixture
def shared(europa, a):
    return SharedNic(europa, a)


def ip(destination="198.51.100.1", mac=ANY, **udp):
    return Ether(src=ME, dst=mac) / IP(src="192.0.2.1", dst=destination) / UDP(**udp) / bytes(30)


RULES = {
    "vlan": ("vlan 5", Ether(src=ME, dst=ANY) / Dot1Q(vlan=5) / IP(dst="192.0.2.9") / UDP() / bytes(30),
             "vlan 6", Ether(src=ME, dst=ANY) / Dot1Q(vlan=6) / IP(dst="192.0.2.9") / UDP() / bytes(30)),
    "ethertype": ("ethertype 0x88b5", Ether(src=ME, dst=ANY, type=0x88b5) / bytes(50),
                  "ethertype 0x88b6", Ether(src=ME, dst=ANY, type=0x88b6) / bytes(50)),
    "ip prefix": ("ip 198.51.100.0/25", ip("198.51.100.7"), "ip 198.51.100.128/25", ip("198.51.100.200")),
    "longer ip prefix": ("ip 198.51.100.0/24", ip("198.51.100.7"), "ip 198.51.100.9/32", ip("198.51.100.9")),
    "ipv6 prefix": ("ip 2001:db8:1::/48", Ether(src=ME, dst=ANY) / IPv6(dst="2001:db8:1::7") / UDP() / bytes(20),
                    "ip 2001:db8:2::/48", Ether(src=ME, dst=ANY) / IPv6(dst="2001:db8:2::7") / UDP() / bytes(20)),
    "udp port": ("udp 4000", ip(dport=4000), "udp 4001", ip(dport=4001)),
    "vxlan vni": ("vxlan 100", ip(dport=4789) / VXLAN(vni=100, flags=8), "vxlan 101", ip(dport=4789) / VXLAN(vni=101, flags=8)),
    "filter": ("filter tcp port 80 or udp src port 53", ip(sport=53), "filter ip proto 132",
               Ether(src=ME, dst=ANY) / IP(dst="192.0.2.9", proto=132) / bytes(40)),
}


def vxlan(vni):
    return Ether(src=ME, dst=ANY) / IP(dst="198.51.100.1") / UDP(sport=1, dport=4789) / VXLAN(vni=vni, flags=8) / Ether() / bytes(40)


@pytest.mark.parametrize("kind", RULES)
def test_two_vrs_share_a_nic_by(shared, kind):
    rule_0, frame_0, rule_1, frame_1 = RULES[kind]
    if kind == "vxlan vni":
        frame_0, frame_1 = vxlan(100), vxlan(101)
    shared.add(rule_0)
    shared.add(rule_1)
    assert shared.takers(frame_0) == [0]
    assert shared.takers(frame_1) == [1]
    assert shared.takers(Ether(src=ME, dst=ANY, type=0x9999) / bytes(50)) == [], "what no rule wants"


def test_two_vrs_share_a_nic_by_mac(shared):
    shared.add("")
    shared.add("mac")
    assert shared.takers(ip(mac=shared.mac(0))) == [0]
    assert shared.takers(ip(mac=shared.mac(1))) == [1]
    assert shared.takers(ip(mac=ANY)) == []


def test_a_filter_knows_how_long_a_frame_is(shared):
    """Also of one that it sees the beginning of."""
    for host, device in ((shared.europa.home, "nic"), (shared.a, "wire")):
        host.ip("link", "set", device, "mtu", 9000)
    shared.add("filter greater 3000", "--mtu", 9000)
    long, short = IP(dst="192.0.2.9") / UDP() / bytes(4000), IP(dst="192.0.2.9") / UDP() / bytes(2500)
    for before in (Ether(src=ME, dst=ANY), Ether(src=ME, dst=ANY) / Dot1Q(vlan=5)):
        assert shared.takers(before / long) == [0]
        assert shared.takers(before / short) == []


def test_broadcast_goes_to_all_that_want_it(shared):
    shared.add("")
    shared.add("")
    shared.add("vlan 5")
    assert shared.takers(ip(mac="ff:ff:ff:ff:ff:ff")) == [0, 1]
    assert shared.takers(Ether(src=ME, dst="ff:ff:ff:ff:ff:ff") / ARP(psrc="192.0.2.1", pdst="192.0.2.2") / bytes(18)) == [0, 1, 2]


def test_what_a_vr_sends_leaves_by_the_shared_nic(shared):
    shared.add("")
    shared.sides[0].send(Ether(src=shared.mac(0), dst=ME) / IP(dst="192.0.2.1") / UDP(dport=7777) / b"out")
    assert shared.wire.expect(lambda f: UDP in f and f[UDP].dport == 7777).dst == ME


def test_the_same_rule_twice_is_refused(shared, europa):
    shared.add("vlan 5")
    done = europa("run", "--rm", "--vnics", 1, *europa.switch(), "--link", "0=nic,vlan 5", IMAGES / "nullfwd", check=False)
    assert done.returncode == 125 and len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert "vlan 5" in done.stderr


@pytest.mark.parametrize("rule", ["vlan 4096", "vlan", "ip 10.0.0.0/33", "udp 65536", "vxlan 16777216", "filter tcp prot 80", "nonsense",
                                  "ethertype 0x10000"])
def test_a_bad_rule_is_refused_with_a_line_that_quotes_it(shared, europa, rule):
    done = europa("run", "--rm", "--vnics", 1, *europa.switch(), "--link", f"0=nic,{rule}", IMAGES / "nullfwd", check=False)
    assert done.returncode == 125 and len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert rule.split()[-1] in done.stderr


def test_a_device_that_is_not_there_is_refused(europa):
    done = europa("run", "--rm", "--vnics", 1, *europa.switch(), "--link", "0=nosuchnic", IMAGES / "nullfwd", check=False)
    assert done.returncode == 125 and "nosuchnic" in done.stderr and len(done.stderr.strip().splitlines()) == 1, done.stderr


def test_a_nic_that_disappears_takes_only_its_vnic_down(shared):
    vr = shared.add("")
    assert vr.stat()["vnics"][0]["up"]
    shared.europa.home.ip("link", "del", "nic")
    wait_for(lambda: not vr.stat()["vnics"][0]["up"], "the vNIC to go down")
    assert vr.state()["status"] == "running"


@pytest.mark.skipif(SWITCH == "kmod", reason="is about europad's packet socket")
def test_a_nic_that_goes_down_mixes_nothing_up(shared):
    """Frames that wait are longer than those of the socket's ring. europad must be awake when it hears of it: a generator with room keeps it so."""
    shared.europa.start("nullfwd", "--vnics", 1, "--pool", 32768, "--ring", 32768, "--link", "0=generator:size=64")
    for host, device in ((shared.europa.home, "nic"), (shared.a, "wire")):
        host.ip("link", "set", device, "mtu", 9000)
    shared.add("", "--mtu", 9000)
    long = [bytes(Ether(src=ME, dst=shared.mac(0)) / IP(dst="192.0.2.9") / UDP(sport=9, dport=9) / (b"%04d" % n * 1000)) for n in range(4)]
    (pid,) = shared.europa.switch_pids()
    with stopped(pid):
        for frame in long[:3]:
            shared.wire.send(frame)
        for state in ("down", "up"):
            shared.europa.home.ip("link", "set", "nic", state)
    wait_for(lambda: shared.vrs[0].stat()["vnics"][0]["rx_packets"] >= 3, "those that have waited")
    shared.wire.send(long[3])
    seen = shared.sides[0].until(lambda frame: bytes(frame) == long[3])
    assert [bytes(frame) for frame in seen if frame.dst == shared.mac(0)] == long[:3]


@pytest.mark.skipif(SWITCH == "kmod", reason="is about europad's packet socket")
def test_what_a_nic_lost_at_the_end_of_a_burst_is_said_when_it_is_left(shared):
    """No frame came any more to tell of it. The socket's ring holds 2048."""
    vr = shared.add("")
    sent = bytes(ip(mac=shared.mac(0)))
    (pid,) = shared.europa.switch_pids()
    with stopped(pid):
        wait_for(lambda: process_state(pid) == "T", "europad to stop")
        for _ in range(3000):
            shared.wire.send(sent)
    log = shared.europa.run_dir / "switch.log"
    vr.kill()
    said = wait_for(lambda: re.search(r"nic: the kernel dropped (\d+) frames", log.read_text()), "the switch to say so")
    assert int(said[1]) >= 3000 - 2048


def test_two_vrs_joined_directly(europa, a, b):
    """a - ipfwd - link - ipfwd - b: 10.0.0.0/24, 10.9.0.0/24, 10.0.1.0/24."""
    one, two = europa.name(), europa.name()
    # Either order: the first one's link is down until the second is there.
    first = europa.start("ipfwd", "--vnics", 2, "--link", f"1={two}:0", name=one, args=[
        "address", "0", "10.0.0.1/24", "address", "1", "10.9.0.1/24", "route", "10.0.1.0/24", "via", "10.9.0.2"])
    assert not first.stat()["vnics"][1]["up"]
    second = europa.start("ipfwd", "--vnics", 2, "--link", f"0={one}:1", name=two, args=[
        "address", "0", "10.9.0.2/24", "address", "1", "10.0.1.1/24", "route", "10.0.0.0/24", "via", "10.9.0.1"])
    wait_for(lambda: first.stat()["vnics"][1]["up"] and second.stat()["vnics"][0]["up"], "the link to come up")
    first.join(0, a, "10.0.0.2/24", "10.0.0.1")
    second.join(1, b, "10.0.1.2/24", "10.0.1.1")
    wait_for(lambda: a.ping("10.0.1.2", 10), "pings to pass")
    second.kill()
    wait_for(lambda: not first.stat()["vnics"][1]["up"], "the link to go down")


def test_super_packets_cross_a_direct_link(europa, a, b):
    from test_tcp import MEGABYTES, stream
    one, two = europa.name(), europa.name()
    first = europa.start("ipfwd", "--vnics", 2, "--link", f"1={two}:0", name=one, args=[
        "address", "0", "10.0.0.1/24", "address", "1", "10.9.0.1/24", "route", "10.0.1.0/24", "via", "10.9.0.2"])
    second = europa.start("ipfwd", "--vnics", 2, "--link", f"0={one}:1", name=two, args=[
        "address", "0", "10.9.0.2/24", "address", "1", "10.0.1.1/24", "route", "10.0.0.0/24", "via", "10.9.0.1"])
    first.join(0, a, "10.0.0.2/24", "10.0.0.1")
    second.join(1, b, "10.0.1.2/24", "10.0.1.1")
    stream(a, b, "10.0.1.2", 32 * MEGABYTES)
    vnic = second.stat()["vnics"][0]
    assert vnic["rx_bytes"] / vnic["rx_packets"] > 3000
