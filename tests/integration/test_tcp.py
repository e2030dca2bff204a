# SPDX-License-Identifier: MIT
"""
TCP and UDP streams through ipfwd, with the offloads that Linux uses by itself.

    a --- ipfwd --- b            and           a --- ipfwd --- b --- c
                                               (the link from b to c has no offloads: b must complete every checksum, c checks it)
"""
import struct

import pytest

from conftest import BUILD, BY_XDP, SWITCH, Routed, process_name, stopped, wait_for

STREAM = BUILD / "tests" / "tcpstream"
MEGABYTES = 1 << 20


def stream(sender, receiver, address, size, port=5001):
    """A TCP stream whose every byte the receiver checks."""
    server = receiver.popen(STREAM, "receive", port)
    assert server.stdout.readline() == "listening\n"
    sender.run(STREAM, "send", address, port, size, timeout=120)
    assert server.communicate(timeout=60)[0] == f"{size} good\n"


def offloads(host, device, state):
    host.run("ethtool", "-K", device, "tx", state, "tso", state, "gso", state, "gro", state)


@pytest.mark.parametrize("left, right", [("on", "on"), ("off", "on"), ("on", "off"), ("off", "off")])
def test_tcp_arrives_unharmed(routed, left, right):
    offloads(routed.a, routed.left, left)
    offloads(routed.b, routed.right, right)
    stream(routed.a, routed.b, "10.0.1.2", 64 * MEGABYTES)
    stream(routed.b, routed.a, "10.0.0.2", 16 * MEGABYTES)
    assert routed.b.receive_errors("Tcp", "InCsumErrors") == 0
    assert routed.a.receive_errors("Tcp", "InCsumErrors") == 0


def test_super_packets_pass_in_one_piece(routed):
    """What b's device takes in are GSO packets of tens of kilobytes with partial checksums, as a sent them."""
    wire = routed.europa.wire(routed.b, routed.right, offloads=True)
    stream(routed.a, routed.b, "10.0.1.2", 32 * MEGABYTES)
    longest, partial, gso = 0, 0, 0
    for raw in wire.frames(timeout=0.2):
        flags, kind, _, size, start, offset = struct.unpack_from("<BBHHHH", raw)
        frame = raw[10:]
        if frame[12:14] != b"\x08\x00" or frame[23] != 6:
            continue
        longest = max(longest, len(frame))
        if kind:
            gso += 1
            assert kind & 0x7f == 1 and 500 <= size <= 1460
            assert flags & 1 and (start, offset) == (34, 16)
        partial += flags & 1
        if len(frame) > 1514:
            assert kind, f"{len(frame)} bytes without GSO"
    assert gso > 100 and longest > 30000, f"{gso} GSO packets, the longest {longest}"
    vnic = routed.vr.stat()["vnics"]
    assert vnic[0]["rx_bytes"] / vnic[0]["rx_packets"] > 5000


def test_checksums_are_right_at_a_receiver_that_checks_every_one(europa, a, b):
    routed = Routed(europa, a, b)
    c = europa.host("c")
    b.ip("link", "add", "bc", "type", "veth", "peer", "name", "cb", "netns", c.name)
    b.ip("address", "add", "10.0.2.1/24", "dev", "bc")
    b.ip("link", "set", "bc", "up")
    c.ip("address", "add", "10.0.2.2/24", "dev", "cb")
    c.ip("link", "set", "cb", "up")
    c.ip("route", "add", "default", "via", "10.0.2.1")
    b.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
    b.run("ethtool", "-K", "bc", "tx", "off", "tso", "off", "gso", "off")
    routed.vr.kill()
    wait_for(lambda: not routed.vr.leftovers(), "the first one to go")
    routed = Routed(europa, a, b, args=["address", "0", "10.0.0.1/24", "address", "1", "10.0.1.1/24",
                                        "route", "10.0.2.0/24", "via", "10.0.1.2"])
    # Segments that reach c carry checksums that b computed from what the metadata said.
    wire = europa.wire(c, "cb", offloads=True)
    stream(a, c, "10.0.2.2", 32 * MEGABYTES)
    for raw in wire.frames(timeout=0.2):
        flags, kind = raw[0], raw[1]
        if raw[22:24] == b"\x08\x00" and raw[33] == 6:
            assert not flags & 1 and not kind, "c got a partial checksum: it had nothing to check"
    assert c.receive_errors("Tcp", "InCsumErrors") == 0
    assert c.receive_errors("Tcp", "InSegs") > 1000


def test_a_wrong_checksum_stays_wrong(routed):
    """That the receiver would notice: what was spoilt before the router is refused behind it."""
    from scapy.layers.inet import IP, UDP
    from scapy.layers.l2 import Ether
    mac = routed.vr.state()["vnics"][0]["mac"]
    wire = routed.europa.wire(routed.a, routed.left)
    before = routed.b.receive_errors("Udp", "InCsumErrors")
    wait_for(lambda: routed.a.ping("10.0.1.2", 1), "pings to pass")
    listener = routed.b.popen("/usr/bin/python3", "-c", "import socket; s = socket.socket(type=2); s.bind(('', 7777));"
                              "print('bound', flush=True); print(s.recv(99))")
    assert listener.stdout.readline() == "bound\n"
    wire.send(Ether(dst=mac) / IP(src="10.0.0.2", dst="10.0.1.2") / UDP(sport=1, dport=7777, chksum=0xdead) / b"spoilt")
    wait_for(lambda: routed.b.receive_errors("Udp", "InCsumErrors") == before + 1, "the receiver's complaint")


def test_large_udp_datagrams_pass(routed):
    """64 KB datagrams: fragments for the router, one datagram for the receiver."""
    wait_for(lambda: routed.a.ping("10.0.1.2", 1), "pings to pass")      # few packets wait for an address to be resolved
    listener = routed.b.popen("/usr/bin/python3", "-c", "import socket, hashlib\ns = socket.socket(type=2)\ns.bind(('', 7778))\n"
                              "print('bound', flush=True)\nprint(hashlib.sha256(s.recv(70000)).hexdigest())")
    assert listener.stdout.readline() == "bound\n"
    sent = routed.a.run("/usr/bin/python3", "-c", "import socket, hashlib, random\nd = random.Random(3).randbytes(65000)\n"
                        "socket.socket(type=2).sendto(d, ('10.0.1.2', 7778))\nprint(hashlib.sha256(d).hexdigest())").stdout
    assert listener.communicate(timeout=30)[0] == sent


def test_small_packets_at_a_steady_rate_are_all_there_and_in_order(europa, a, b):
    """
    Far below capacity nothing is lost, doubled or overtaken. On a machine that does other work the VR may wait long for a CPU: europad's
    frames then wait in the device's queue. The module has none, so there the rings hold a second of the stream.
    """
    routed = Routed(europa, a, b, *(["--pool", "16384", "--ring", "16384"] if SWITCH == "kmod" else []))
    wait_for(lambda: routed.a.ping("10.0.1.2", 1), "pings to pass")
    count = 10000
    wire = routed.europa.wire(routed.b, routed.right)
    mac = routed.vr.state()["vnics"][0]["mac"]
    sender = routed.a.popen(BUILD / "tests" / "udpgen", "--device", routed.left, "--to", mac, "--dst", "10.0.1.2", "--rate", 2500,
                            "--count", count, "--sequence")
    expected = 0
    for raw in wire.frames():
        if raw[12:14] != b"\x08\x00" or raw[23] != 17 or raw[36:38] != b"\0\x09":
            continue
        sequence = struct.unpack_from(">Q", raw, 42)[0]
        assert sequence == expected, f"{expected} was next; drops: {[v['drops'] for v in routed.vr.stat()['vnics']]}"
        expected += 1
        if expected == count:
            break
    assert expected == count
    assert sender.wait(timeout=30) == 0


def numbered(wire, count):
    """The sequence numbers of udpgen's next frames."""
    found = []
    for raw in wire.frames():
        if raw[12:14] == b"\x08\x00" and raw[23] == 17 and raw[36:38] == b"\0\x09":
            found.append(struct.unpack_from(">Q", raw, 42)[0])
            if len(found) == count:
                break
    return found


@pytest.mark.skipif(SWITCH == "kmod", reason="the module has no queue in front of the VR")
@pytest.mark.parametrize("links", [[], BY_XDP])
def test_what_comes_while_a_vr_is_stopped_waits_for_it(europa, a, b, links):
    """Up to what its rxRing and the device's queue hold, 1024 and 512; what they can't is counted while the VR is still stopped."""
    burst = 1400
    routed = Routed(europa, a, b, *links)
    wait_for(lambda: routed.a.ping("10.0.1.2", 1), "pings to pass")
    wire = routed.europa.wire(routed.b, routed.right)
    send = ("--device", routed.left, "--to", routed.vr.state()["vnics"][0]["mac"], "--dst", "10.0.1.2", "--rate", 10000, "--sequence")
    (data_plane,) = [pid for pid in routed.vr.pids() if process_name(pid) == "ipfwd"]
    with stopped(data_plane):
        routed.a.run(BUILD / "tests" / "udpgen", *send, "--count", burst)
        vnic = routed.vr.stat()["vnics"][0]
        assert vnic["rx_packets"] < burst and vnic["drops"]["rx_ring_full"] == 0
    assert numbered(wire, burst) == list(range(burst))
    assert "tx_full" not in routed.vr.stat()["counters"]

    before = routed.vr.stat()["vnics"][0]["rx_packets"]
    with stopped(data_plane):
        routed.a.run(BUILD / "tests" / "udpgen", *send, "--count", 5000)
        wait_for(lambda: routed.vr.stat()["vnics"][0]["drops"]["rx_ring_full"] > 1000, "the drops")

    def not_lost():
        vnic = routed.vr.stat()["vnics"][0]
        lost = vnic["drops"]["rx_ring_full"]
        return 5000 - lost if vnic["rx_packets"] - before + lost >= 5000 else None
    count = wait_for(not_lost, "all frames to be received or counted")
    # Which ones were lost depends on when europad had a CPU; that they are those that were counted does not.
    found = numbered(wire, count)
    assert found == sorted(set(found)) and len(found) == count


def test_iperf3_with_default_offloads(routed):
    import json
    server = routed.b.popen("iperf3", "-s", "-1")
    wait_for(lambda: ":5201" in routed.b.run("ss", "-ltn").stdout, "the iperf3 server")
    result = json.loads(routed.a.run("iperf3", "-c", "10.0.1.2", "-t", "2", "-J").stdout)
    assert result["end"]["sum_received"]["bytes"] > 10 * MEGABYTES
    server.wait(timeout=30)
