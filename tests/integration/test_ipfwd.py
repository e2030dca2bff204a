# SPDX-License-Identifier: MIT
"""
ipfwd as its neighbours see it.

    left --- vNIC 0  10.0.0.1/24 [ ipfwd ] 10.0.1.1/24  vNIC 1 --- right

`bare` has packet sockets on both sides and no IP stack behind them, so that every frame is the test's; its next hops are static.
"""
import contextlib
import itertools
import random
import re

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPerror
from scapy.layers.l2 import ARP, Ether

from conftest import IMAGES, SWITCH, process_name, stopped, wait_for

ME, NEXT = "02:00:00:00:00:0a", "02:00:00:00:00:0b"


class Bare:
    def __init__(self, europa, a, b, *options, statements=(), vnics=2):
        self.vr = europa.start("ipfwd", "--vnics", vnics, *options, args=[
            "address", "0", "10.0.0.1/24", "address", "1", "10.0.1.1/24", "neighbour", "10.0.0.2", ME, "dev", "0",
            "neighbour", "10.0.1.2", NEXT, "dev", "1", *statements])
        self.left = europa.wire(a, self.vr.join(0, a))
        self.right = europa.wire(b, self.vr.join(1, b))
        vnics = self.vr.state()["vnics"]
        self.mac = [vnic["mac"] for vnic in vnics]

    def from_left(self, packet, mac=ME):
        self.left.send(Ether(src=mac, dst=self.mac[0]) / packet)

    def counter(self, name):
        return self.vr.stat()["counters"].get(name, 0)


@pytest.fixture
def bare(europa, a, b):
    return Bare(europa, a, b)


def is_udp_to(port):
    return lambda frame: UDP in frame and frame[UDP].dport == port and IPerror not in frame


def sums_are_right(packet):
    """The packet's checksums, computed again from scratch, are the ones it carries."""
    again = packet.copy()
    for layer in (IP, TCP, UDP, ICMP):
        if layer in again:
            again[layer].chksum = None
    again = Ether(bytes(again))
    return all(packet[layer].chksum == again[layer].chksum for layer in (IP, TCP, UDP, ICMP) if layer in packet)


def test_what_the_way_out_has_no_room_for_waits(europa, a, b):
    """Two full receive rings lead to one transmit ring, which europad doesn't empty while it stands still."""
    bare = Bare(europa, a, b, "--pool", 8192, vnics=3)
    also_left = europa.wire(a, bare.vr.join(2, a))
    to_right = bytes(Ether(src=ME, dst=bare.mac[0]) / IP(src="10.0.0.2", dst="10.0.1.2") / UDP(dport=7000, chksum=0) / bytes(8))[:-8]
    (data_plane,) = [pid for pid in bare.vr.pids() if process_name(pid) == "ipfwd"]
    with contextlib.ExitStack() as no_switch:
        with stopped(data_plane):
            for n in range(1000):
                bare.left.send(to_right + b"left%04d" % n)
                also_left.send(bytes.fromhex(bare.mac[2].replace(":", "")) + to_right[6:] + b"also%04d" % n)
                if n % 250 == 249:      # half of what waits for europad while it has no CPU
                    wait_for(lambda: all(bare.vr.stat()["vnics"][vnic]["rx_packets"] >= n + 1 for vnic in (0, 2)), "the receive rings to fill")
            no_switch.enter_context(stopped(*europa.switch_pids()))
        if SWITCH != "kmod":
            wait_for(lambda: bare.vr.stat()["vnics"][1]["tx_ring"]["used"] == 1024, "the transmit ring to fill")
    got = list(itertools.islice((raw[-8:] for raw in bare.right.frames() if raw[-8:-4] in (b"left", b"also")), 2000))
    for side in (b"left", b"also"):
        assert [load for load in got if load.startswith(side)] == [b"%s%04d" % (side, n) for n in range(1000)]
    assert bare.counter("tx_full") == 0


def test_pings_pass(routed):
    wait_for(lambda: routed.a.ping("10.0.1.2", 20), "pings to pass")
    wait_for(lambda: routed.b.ping("10.0.0.2", 20), "pings to pass")


def test_pings_of_every_size_pass_in_one_piece_or_several(routed):
    for size in (0, 1, 63, 64, 1000, 1472, 1473, 8000, 65000):
        wait_for(lambda: routed.a.ping("10.0.1.2", 2, "-s", str(size)), f"{size} bytes")


def test_answers_pings_to_itself(routed):
    wait_for(lambda: routed.a.ping("10.0.0.1", 5), "pings to pass")
    wait_for(lambda: routed.a.ping("10.0.1.1", 5), "its address on the far side")


def test_answers_arp_for_its_own_address_only(bare):
    who_has = Ether(src=ME, dst="ff:ff:ff:ff:ff:ff") / ARP(op=1, hwsrc=ME, psrc="10.0.0.2", pdst="10.0.0.77")
    bare.left.send(who_has)
    who_has[ARP].pdst = "10.0.0.1"
    bare.left.send(who_has)
    reply = bare.left.expect(lambda frame: ARP in frame and frame[ARP].op == 2)
    assert (reply[ARP].psrc, reply[ARP].hwsrc) == ("10.0.0.1", bare.mac[0])
    assert (reply.dst, reply[ARP].pdst) == (ME, "10.0.0.2")


def test_asks_by_arp_and_sends_what_waited(europa, a, b):
    vr = europa.start("ipfwd", "--vnics", 2)
    left, right = europa.wire(a, vr.join(0, a)), europa.wire(b, vr.join(1, b))
    mac = vr.state()["vnics"][0]["mac"]
    left.send(Ether(src=ME, dst=mac) / IP(src="10.0.0.2", dst="10.0.1.2") / UDP(dport=7001) / b"waits")
    asked = right.expect(lambda frame: ARP in frame and frame[ARP].pdst == "10.0.1.2", "a question for 10.0.1.2")
    right.send(Ether(src=NEXT, dst=asked.src) / ARP(op=2, hwsrc=NEXT, psrc="10.0.1.2", hwdst=asked.src, pdst="10.0.1.1"))
    assert right.expect(is_udp_to(7001), "what waited").dst == NEXT


def test_decrements_ttl_and_changes_nothing_else(bare):
    sent = IP(src="10.0.0.2", dst="10.0.1.2", ttl=64, id=4711, tos=0x28) / UDP(sport=5, dport=7002) / bytes(range(256))
    bare.from_left(sent)
    got = bare.right.expect(is_udp_to(7002))
    assert got[IP].ttl == 63
    assert (got.src, got.dst) == (bare.mac[1], NEXT)
    assert sums_are_right(got)
    want = IP(bytes(sent))
    want.ttl, want.chksum = 63, got[IP].chksum
    assert bytes(got[IP]) == bytes(want)


def test_an_expired_ttl_is_answered_and_goes_no_further(bare):
    bare.from_left(IP(src="10.0.0.2", dst="10.0.1.2", ttl=1) / UDP(dport=7003) / b"expires")
    error = bare.left.expect(lambda frame: ICMP in frame)
    assert (error[ICMP].type, error[ICMP].code, error[IP].src) == (11, 0, "10.0.0.1")
    assert error[IPerror].dst == "10.0.1.2"
    assert sums_are_right(error)
    bare.from_left(IP(src="10.0.0.2", dst="10.0.1.2") / UDP(dport=7004) / b"passes")
    assert not [f for f in bare.right.until(is_udp_to(7004)) if UDP in f and f[UDP].dport == 7003]
    wait_for(lambda: bare.counter("ttl_exceeded") == 1, "its counter")


def test_traceroute_sees_it(routed):
    wait_for(lambda: routed.a.ping("10.0.1.2", 1), "pings to pass")      # few packets wait for an address to be resolved
    out = routed.a.run("traceroute", "-n", "-q", "1", "-w", "5", "10.0.1.2").stdout
    hops = re.findall(r"^ *(\d+) +([\d.*]+)", out, re.M)
    assert hops == [("1", "10.0.0.1"), ("2", "10.0.1.2")], out


def test_forwards_by_the_longest_prefix(europa, a, b):
    """Nested prefixes, each to a next hop of its own on the right; a more specific one goes nowhere."""
    nested = {"10.0.0.0/8": 11, "10.64.0.0/10": 12, "10.64.0.0/16": 13, "10.64.3.0/24": 14, "10.64.3.128/25": 15,
              "10.64.3.129/32": 16, "default": 17}
    statements = []
    for prefix, host in nested.items():
        statements += ["route", prefix, "via", f"10.0.1.{host}",
                       "neighbour", f"10.0.1.{host}", f"02:00:00:00:01:{host:02x}", "dev", "1"]
    bare = Bare(europa, a, b, statements=statements + ["route", "10.64.3.130/32", "blackhole"])
    for n, (destination, host) in enumerate([
            ("10.9.9.9", 11), ("10.127.255.255", 12), ("10.64.9.9", 13), ("10.64.3.9", 14), ("10.64.3.127", 14), ("10.64.3.128", 15),
            ("10.64.3.129", 16), ("10.64.3.131", 15), ("192.0.2.1", 17), ("10.63.255.255", 11)]):
        bare.from_left(IP(src="10.0.0.2", dst=destination) / UDP(dport=7100 + n) / b"lpm")
        assert bare.right.expect(is_udp_to(7100 + n), destination).dst == f"02:00:00:00:01:{host:02x}", destination
    bare.from_left(IP(src="10.0.0.2", dst="10.64.3.130") / UDP(dport=7199) / b"nowhere")
    wait_for(lambda: bare.counter("blackholed") == 1, "the black hole's counter")


def test_a_thousand_routes_from_a_config_file(europa, a, b, tmp_path):
    rnd = random.Random(2025)
    table = {}
    while len(table) < 1000:
        length = rnd.choice([12, 16, 20, 22, 24, 24, 24, 28, 32])
        net = rnd.randrange(20 << 24, 100 << 24) >> (32 - length) << (32 - length)
        table[(net, length)] = 20 + rnd.randrange(50)
    dotted = lambda n: ".".join(str(n >> s & 255) for s in (24, 16, 8, 0))
    config = tmp_path / "routes"
    config.write_text("# addresses first\naddress 0 10.0.0.1/24\naddress 1 10.0.1.1/24\nneighbour 10.0.0.2 %s dev 0\n" % ME
                      + "".join(f"neighbour 10.0.1.{h} 02:00:00:00:02:{h:02x} dev 1\n" for h in range(20, 70))
                      + "".join(f"route {dotted(net)}/{length} via 10.0.1.{host}\n" for (net, length), host in table.items()))
    vr = europa.start("ipfwd", "--vnics", 2, "--config", config)
    left, right = europa.wire(a, vr.join(0, a)), europa.wire(b, vr.join(1, b))
    mac = vr.state()["vnics"][0]["mac"]
    probes = {}
    for net, length in rnd.sample(sorted(table), 300):
        address = net | rnd.getrandbits(32 - length) if length < 32 else net
        best = max((l for n, l in table if address >> (32 - l) << (32 - l) == n))
        probes[dotted(address)] = table[(address >> (32 - best) << (32 - best), best)]
    for destination in probes:
        left.send(Ether(src=ME, dst=mac) / IP(src="10.0.0.2", dst=destination) / UDP(dport=7200))
    left.send(Ether(src=ME, dst=mac) / IP(src="10.0.0.2", dst=next(iter(probes))) / UDP(dport=7201))
    got = {f[IP].dst: int(f.dst[-2:], 16) for f in right.until(is_udp_to(7201)) if UDP in f}
    assert got == probes


def test_no_route_is_answered(bare):
    bare.from_left(IP(src="10.0.0.2", dst="203.0.113.1") / UDP(dport=7005))
    error = bare.left.expect(lambda frame: ICMP in frame)
    assert (error[ICMP].type, error[ICMP].code) == (3, 0)


def test_icmp_errors_are_rate_limited(europa, a, b):
    bare = Bare(europa, a, b, statements=["icmp-rate", "1", "5"])
    for n in range(200):
        bare.from_left(IP(src="10.0.0.2", dst="203.0.113.1", id=n) / UDP(dport=7006))
    bare.from_left(IP(src="10.0.0.2", dst="10.0.0.1") / ICMP(id=99) / b"the end")
    errors = [f for f in bare.left.until(lambda f: ICMP in f and f[ICMP].type == 0) if ICMP in f and f[ICMP].type == 3]
    assert 5 <= len(errors) < 50
    wait_for(lambda: bare.counter("icmp_limited") >= 150, "its counter")


@pytest.mark.parametrize("name, spoil, counter", [
    ("checksum", dict(chksum=0x1234), "bad_checksum"),
    ("version", dict(version=5), "bad_header"),
    ("header length", dict(ihl=4), "bad_header"),
    ("total length", dict(len=4000), "bad_header"),
    ("source 127.0.0.1", dict(src="127.0.0.1"), "martian_source"),
    ("destination 127.0.0.1", dict(dst="127.0.0.1"), "martian_destination"),
])
def test_a_bad_header_is_dropped_and_counted(bare, name, spoil, counter):
    fields = dict(src="10.0.0.2", dst="10.0.1.2") | spoil
    packet = Ether(src=ME, dst=bare.mac[0]) / IP(**fields) / UDP(dport=7007) / bytes(20)
    raw = bytearray(bytes(packet))
    if name in ("version", "header length"):      # scapy gives these a checksum of their own header length
        from scapy.utils import checksum
        raw[24:26] = b"\0\0"
        raw[24:26] = checksum(bytes(raw[14:34])).to_bytes(2, "big")
    bare.left.send(bytes(raw))
    wait_for(lambda: bare.counter(counter) == 1, f"the counter {counter}; {bare.vr.stat()['counters']}")
    bare.from_left(IP(src="10.0.0.2", dst="10.0.1.2") / UDP(dport=7008))
    assert not [f for f in bare.right.until(is_udp_to(7008)) if UDP in f and f[UDP].dport == 7007]


def test_too_big_with_df_is_answered_with_the_mtu(europa, a, b):
    bare = Bare(europa, a, b, "--mtu", "1=1000")
    bare.from_left(IP(src="10.0.0.2", dst="10.0.1.2", flags="DF") / UDP(dport=7009) / bytes(1200))
    error = bare.left.expect(lambda frame: ICMP in frame)
    assert (error[ICMP].type, error[ICMP].code, error[ICMP].nexthopmtu) == (3, 4, 1000)


def test_too_big_without_df_is_fragmented(europa, a, b):
    bare = Bare(europa, a, b, "--mtu", "1=1000")
    payload = random.Random(1).randbytes(1400)
    bare.from_left(IP(src="10.0.0.2", dst="10.0.1.2", id=77) / UDP(dport=7010) / payload)
    bare.from_left(IP(src="10.0.0.2", dst="10.0.1.2") / UDP(dport=7011))
    pieces = [f[IP] for f in bare.right.until(is_udp_to(7011)) if IP in f and f[IP].id == 77]
    assert len(pieces) == 2 and all(p.len <= 1000 for p in pieces)
    pieces.sort(key=lambda p: p.frag)
    whole = b"".join(bytes(p)[20:p.len] for p in pieces)
    assert whole[8:] == payload


def test_frames_for_another_mac_are_left_alone(bare):
    bare.left.send(Ether(src=ME, dst="02:00:00:00:00:77") / IP(src="10.0.0.2", dst="10.0.1.2") / UDP(dport=7012))
    bare.from_left(IP(src="10.0.0.2", dst="10.0.1.2") / UDP(dport=7013))
    assert not [f for f in bare.right.until(is_udp_to(7013)) if UDP in f]


def test_bad_statements_end_it_with_a_line_that_quotes_them(europa):
    done = europa("run", "--rm", *europa.switch(), "--vnics", 2, IMAGES / "ipfwd", "--", "route", "10.0.0.0/33", "via",
                  "10.0.1.9", check=False)
    assert done.returncode not in (0, 125)
    assert "10.0.0.0/33" in done.stderr and len(done.stderr.strip().splitlines()) == 1, done.stderr
