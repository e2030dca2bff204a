# SPDX-License-Identifier: MIT
"""A VR that writes garbage wherever it can (hostile.c) beside one that minds its own business."""
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


@pytest.mark.parametrize("way", ["routed", "bridged", "shared"])
def test_frames_that_pass_the_checks_are_no_burden_to_others(europa, a, hostile_image, way):
    """Lengths and offsets are right, and all else is garbage: headers, segments, checksums. The host's network gets to see that."""
    bystander = europa.start("nullfwd", "--vnics", 2, "--link", "0=generator:size=64", "--link", "1=none")
    switch = europa.switches()
    links = []
    if way == "shared":
        europa.own = frozenset(["nic"])
        europa.home.ip("link", "add", "nic", "type", "veth", "peer", "name", "wire", "netns", a.name)
        europa.home.ip("link", "set", "nic", "up")
        a.ip("link", "set", "wire", "up")
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
