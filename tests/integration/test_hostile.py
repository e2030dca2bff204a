# SPDX-License-Identifier: MIT
"""A VR that writes garbage wherever it can (hostile.c) beside one that minds its own business; and neighbours that lie about their frames."""
import errno
import signal
import struct

import pytest

from conftest import BUILD, SWITCH, Routed, program_image, wait_for


# The module has no queue in front of the VR, which may wait long for a CPU on a machine that does other work: room for seconds of the stream.
ROOMY = ("--pool", "16384", "--ring", "16384") if SWITCH == "kmod" else ()


@pytest.fixture
def hostile_image(tmp_path):
    return program_image(tmp_path, "hostile")


def stream_is_whole(routed, count, rate):
    """
    A numbered stream through the innocent VR: everything arrives, once, in order. The rate is such that the device's queue and the
    VR's ring hold more than a second of it: that long the switch and the VR may wait for a CPU, on a machine that does other work.
    """
    wait_for(lambda: routed.a.ping("10.0.1.2", 1), "pings to pass")
    wire = routed.europa.wire(routed.b, routed.right)
    sender = routed.a.popen(BUILD / "tests" / "udpgen", "--device", routed.left, "--to", routed.vr.state()["vnics"][0]["mac"], "--dst",
                            "10.0.1.2", "--rate", rate, "--count", count, "--sequence")
    expected = 0
    for raw in wire.frames():
        if raw[12:14] == b"\x08\x00" and raw[23] == 17 and raw[36:38] == b"\0\x09":
            sequence = struct.unpack_from(">Q", raw, 42)[0]
            assert sequence == expected, f"{expected} was next; {routed.vr.stat()['vnics']}"
            expected += 1
            if expected == count:
                break
    assert expected == count
    assert sender.wait(timeout=30) == 0


def test_a_hostile_vr_hurts_nobody_but_itself(europa, a, b, hostile_image):
    innocent = Routed(europa, a, b, *ROOMY)
    switch = europa.switches()
    hostile = europa.start(hostile_image, "--vnics", 2, "--cpu", "30%", "--link", "0=generator:size=64", "--link", "1=none")
    stream_is_whole(innocent, 10000, 2500)
    wait_for(lambda: hostile.stat()["switch"]["status"] == "quarantined", "the quarantine")
    assert hostile.stat()["switch"]["violations"] > 0
    stream_is_whole(innocent, 5000, 2500)
    assert europa.switches() == switch
    assert innocent.vr.stat()["switch"]["violations"] == 0
    log = europa("logs", hostile.name).stdout
    assert "hostile: at it" in log and "BREACH" not in log, log


@pytest.mark.parametrize("seed", range(1, 6))
def test_the_switch_survives_many_kinds_of_garbage(europa, hostile_image, seed):
    bystander = europa.start("nullfwd", "--vnics", 2, "--link", "0=generator:size=64", "--link", "1=none")
    switch = europa.switches()
    vr = europa.start(hostile_image, "--vnics", 2, "--link", "0=generator:size=64", "--link", "1=generator:size=1500",
                      args=[seed])
    wait_for(lambda: vr.stat()["switch"]["status"] == "quarantined", "the quarantine")
    moved = bystander.stat()["vnics"][0]["rx_packets"]
    wait_for(lambda: bystander.stat()["vnics"][0]["rx_packets"] > moved, "the bystander's packets")
    vr.kill("--time", "0")
    wait_for(lambda: not vr.leftovers(), "nothing to be left")
    assert europa.switches() == switch


def test_an_adopting_switch_survives_garbage_too(europa, hostile_image):
    """The region of a hostile VR when its switch ends: the next one repairs what it can and believes nothing."""
    vr = europa.start(hostile_image, "--vnics", 2, "--link", "0=generator:size=64", "--link", "1=none")
    bystander = europa.start("nullfwd", "--vnics", 2, "--link", "0=generator:size=64", "--link", "1=none")
    for _ in range(3):
        epoch = bystander.stat()["switch"]["epoch"]
        europa.end_switch()
        wait_for(lambda: bystander.stat()["switch"]["epoch"] > epoch and len(europa.switches()) == 1, "the next switch")
        moved = bystander.stat()["vnics"][0]["rx_packets"]
        wait_for(lambda: bystander.stat()["vnics"][0]["rx_packets"] > moved, "the bystander's packets")
    assert vr.state()["status"] == "running"


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=lambda how: how.name)
def test_the_next_switch_pardons_nobody(europa, hostile_image, how):
    vr = europa.start(hostile_image, "--vnics", 2, "--link", "0=generator:size=64", "--link", "1=none")
    wait_for(lambda: vr.stat()["switch"]["status"] == "quarantined", "the quarantine")
    before = vr.stat()["switch"]
    europa.end_switch(how)
    wait_for(lambda: vr.stat()["switch"]["epoch"] > before["epoch"], "the next switch")
    wait_for(lambda: vr.stat()["switch"]["status"] == "quarantined", "the quarantine")
    assert vr.stat()["switch"]["violations"] == before["violations"]


@pytest.mark.parametrize("way", ["routed", "bridged", "shared"])
def test_frames_that_pass_the_checks_are_no_burden_to_others(europa, a, hostile_image, way):
    """Lengths and offsets are right, and all else is garbage: headers, segments, checksums. The host's network gets to see that."""
    bystander = europa.start("nullfwd", "--vnics", 2, "--link", "0=generator:size=64", "--link", "1=none")
    switch = europa.switches()
    links = []
    if way == "shared":
        europa.share_nic(a)
        links = ["--link", "0=nic", "--link", "1=nic,ip 0.0.0.0/0"]
    vr = europa.start(hostile_image, "--vnics", 2, *links, args=["/bin/hostile", 1, "offloads"])
    a.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.disable_ipv6=0", "net.ipv6.conf.default.disable_ipv6=0",
          "net.ipv6.conf.all.forwarding=1", "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.default.rp_filter=0")
    if way == "bridged":
        a.ip("link", "add", "bridge0", "type", "bridge")
        a.ip("link", "set", "bridge0", "up")
    for n in () if way == "shared" else (0, 1):
        device = vr.join(n, a)
        if way == "bridged":
            a.ip("link", "set", device, "master", "bridge0")
        else:
            # Whatever the address, it is to be had: what is forwarded leaves by the other device, segmented there.
            a.run("ethtool", "-K", device, "tso", "off")
            a.ip("route", "add", f"{128 * n}.0.0.0/1", "dev", device)
    wait_for(lambda: "hostile: holes" in europa("logs", vr.name).stdout, "the worst")
    assert sum(vnic["tx_packets"] for vnic in vr.stat()["vnics"]) > 1000
    moved = bystander.stat()["vnics"][0]["rx_packets"]
    wait_for(lambda: bystander.stat()["vnics"][0]["rx_packets"] > moved, "the bystander's packets")
    assert europa.switches() == switch


# ---- what a VR gets, and would be charged for if it sent it on ----

NEEDS_CSUM, DATA_VALID, TCPV4 = 1, 2, 1
TAG = bytes.fromhex("81000005")


def packet(mac, protocol, total, payload):
    """From 10.0.0.2 to 10.0.1.2; `total` is what its header says of its length."""
    from scapy.layers.inet import IP
    return bytes.fromhex(mac.replace(":", "")) + bytes.fromhex("02000000000a0800") + bytes(
        IP(src="10.0.0.2", dst="10.0.1.2", proto=protocol, len=total)) + payload


def lies(mac):
    """Frames behind a packet socket's header: flags, gso_type, hdr_len, gso_size, csum_start, csum_offset."""
    tcp = struct.pack(">HHIIBBHHH", 1, 2, 0, 0, 0x50, 0x10, 0, 0, 0)
    short = packet(mac, 17, 46, bytes(26))
    some, many = (packet(mac, 6, 40 + n, tcp + bytes(n)) for n in (2000, 8 * 2049))
    return {
        "a checksum that begins in a tag": struct.pack("<BBHHHH", NEEDS_CSUM, 0, 0, 0, 14, 20) + short[:12] + TAG + short[12:],
        "a checksum that begins in the addresses": struct.pack("<BBHHHH", NEEDS_CSUM, 0, 0, 0, 0, 40) + short,
        "more segments than are cut": struct.pack("<BBHHHH", NEEDS_CSUM, TCPV4, 54, 8, 34, 16) + many,
        "segments without a checksum": struct.pack("<BBHHHH", DATA_VALID, TCPV4, 54, 1448, 0, 0) + some,
        "a checksum in the padding": struct.pack("<BBHHHH", NEEDS_CSUM, 0, 0, 0, 34, 6) + packet(mac, 17, 20, bytes(26)),
    }


def send_thousands(wire, lie):
    """Kernels refuse some of it themselves, the newer the more."""
    try:
        for _ in range(2000):
            wire.send(lie)
    except OSError as error:
        assert error.errno == errno.EINVAL


@pytest.mark.parametrize("image", ["ipfwd", "nullfwd", "l2switch"])
def test_a_neighbours_lies_are_not_charged_to_the_vr(europa, a, b, image):
    routed = Routed(europa, a, b, *ROOMY, image=image)
    mac = routed.vr.state()["vnics"][0]["mac"]
    if image == "ipfwd":
        wait_for(lambda: a.ping("10.0.1.2", 1), "pings to pass")
    neighbour, good, right = europa.wire(a, routed.left, offloads=True), europa.wire(a, routed.left), europa.wire(b, routed.right)
    for n, (lie, frame) in enumerate(lies(mac).items()):
        send_thousands(neighbour, frame)
        marker = packet(mac, 17, 46, struct.pack(">HHHH", 9, 7000 + n, 26, 0) + bytes(18))

        def a_good_one_arrives(marker=marker):
            """While the switch has no CPU, lies alone fill the ring in front of it."""
            good.send(marker)
            return any(raw[34:38] == marker[34:38] for raw in right.frames(1))
        wait_for(a_good_one_arrives, f"a good frame after {lie}")
        stat = routed.vr.stat()
        assert stat["switch"]["violations"] == 0 and stat["switch"]["status"] != "quarantined", (lie, stat)
    assert routed.vr.stat()["vnics"][0]["drops"]["rx_malformed"] > 0


def test_a_vrs_lies_are_not_charged_to_its_neighbour(europa, a, b, hostile_image):
    """Both are on one NIC. What the neighbour cuts off, and what the switch does, is where the checksum was to be."""
    europa.share_nic(a)
    a.ip("address", "add", "10.0.0.2/24", "dev", "wire")
    a.ip("route", "add", "default", "via", "10.0.0.1")
    innocent = europa.start("ipfwd", "--vnics", 2, "--link", "0=nic", *ROOMY)
    innocent.join(1, b, "10.0.1.2/24", "10.0.1.1")
    wait_for(lambda: a.ping("10.0.1.2", 1), "pings to pass")
    hostile = europa.start(hostile_image, "--vnics", 1, "--cpu", "30%", "--link", "0=nic",
                           args=[1, "padding", innocent.state()["vnics"][0]["mac"]])
    wait_for(lambda: hostile.stat()["vnics"][0]["tx_packets"] > 5000, "thousands of lies")
    wait_for(lambda: a.ping("10.0.1.2", 1), "pings to pass beside them")
    for vr in (innocent, hostile):
        assert vr.stat()["switch"]["violations"] == 0
    assert innocent.stat()["vnics"][0]["rx_packets"] > 2000
