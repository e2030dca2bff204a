# SPDX-License-Identifier: MIT
"""
Devices of the vNICs' own from which europad receives by XDP (--link N=device:xdp): what the sender's end must not leave to others, what can't
be, and that it stays so. That it is a device like any other is in test_switch.py, what waits in its queue in test_tcp.py, the death of the
switch in test_death.py. On the module the same commands work, and the device is its usual one.

    a 10.0.0.2 --- 10.0.0.1 ipfwd 10.0.1.1 --- 10.0.1.2 b
"""
import json
import subprocess

import pytest

from conftest import BY_XDP, IMAGES, SWITCH, Routed, command, wait_for
from test_checkpoint import checkpoint, restore
from test_tcp import MEGABYTES, stream

europads = pytest.mark.skipif(SWITCH == "kmod", reason="europad's own")


@pytest.fixture
def routed(europa, a, b):
    return Routed(europa, a, b, *BY_XDP)


def programs(europa):
    """How many of the switch's ends have a program that takes the frames."""
    links = command("nsenter", f"--net={europa.run_dir}/netns/switch", "ip", "-j", "link").stdout
    return sum("xdp" in link for link in json.loads(links))


def kinds(vr):
    return [vnic["kind"] for vnic in vr.inspect()["spec"]["vnics"]]


def test_pings_of_every_size_pass_in_one_piece_or_several(routed):
    assert kinds(routed.vr) == ["device:xdp"] * 2
    if SWITCH != "kmod":
        assert programs(routed.europa) == 2
    for size in (0, 1, 63, 64, 1000, 1472, 1473, 8000, 65000):
        wait_for(lambda: routed.a.ping("10.0.1.2", 2, "-s", str(size)), f"{size} bytes")
        wait_for(lambda: routed.b.ping("10.0.0.2", 2, "-s", str(size)), f"{size} bytes back")


@pytest.mark.parametrize("links", [BY_XDP, BY_XDP[:2]], ids=["both", "one"])
def test_tcp_arrives_unharmed(europa, a, b, links):
    """The senders, who have segments and checksums made by others where they can, make their own; super-packets from elsewhere pass."""
    routed = Routed(europa, a, b, *links)
    stream(a, b, "10.0.1.2", 8 * MEGABYTES)
    stream(b, a, "10.0.0.2", 8 * MEGABYTES)
    assert a.receive_errors("Tcp", "InCsumErrors") == b.receive_errors("Tcp", "InCsumErrors") == 0
    if links != BY_XDP and SWITCH != "kmod":
        vnic = routed.vr.stat()["vnics"][1]
        assert vnic["rx_bytes"] / vnic["rx_packets"] > 2000, "super-packets"


def test_udp_checksums_are_right(routed):
    wait_for(lambda: routed.a.ping("10.0.1.2", 1), "pings to pass")
    listener = routed.b.popen("/usr/bin/python3", "-c", "import socket\ns = socket.socket(type=2)\ns.bind(('', 7778))\n"
                              "print('bound', flush=True)\nprint(s.recv(70000).decode())")
    assert listener.stdout.readline() == "bound\n"
    routed.a.run("/usr/bin/python3", "-c", "import socket\nsocket.socket(type=2).sendto(b'whole', ('10.0.1.2', 7778))")
    assert listener.communicate(timeout=30)[0] == "whole\n"
    assert routed.b.receive_errors("Udp", "InCsumErrors") == 0


@europads
def test_the_hosts_leave_nothing_to_others(routed):
    """Neither checksums, nor tags that stand beside the frame, nor segmentation."""
    for host, device in ((routed.a, routed.left), (routed.b, routed.right)):
        features = dict(line.split(":")[:2] for line in host.run("ethtool", "-k", device).stdout.splitlines() if ":" in line)
        for name in ("tx-checksum-ip-generic", "tx-checksum-sctp", "tx-vlan-offload", "tx-vlan-stag-hw-insert", "tx-tcp-segmentation"):
            (state,) = [state.split()[0] for feature, state in features.items() if feature.strip() == name]
            assert state == "off", name


@europads
def test_the_longest_frame_fits_into_a_page(europa, a, b):
    """And what doesn't is refused, with nothing left of it."""
    refused = europa("run", "-d", "--name", europa.name(), "--vnics", 2, *BY_XDP, "--mtu", 4000, IMAGES / "ipfwd", check=False)
    assert refused.returncode == 125 and "vNIC 0: MTU 4000 is too much for XDP" in refused.stderr
    routed = Routed(europa, a, b, *BY_XDP, "--mtu", 3498)
    wait_for(lambda: a.ping("10.0.1.2", 2, "-M", "do", "-s", str(3498 - 28)), "pings of 3498 bytes")
    assert programs(europa) == 2 and routed.vr.stat()["vnics"][0]["rx_bytes"] > 2 * 3498


@europads
@pytest.mark.parametrize("links", [BY_XDP, ()], ids=["xdp", "packet socket"])
def test_whoever_raises_the_mtu_later_sees_longer_frames_dropped_by_his_device(europa, a, b, links):
    """The switch's end keeps the vNIC's, and nothing longer comes to where places for frames were made by that."""
    routed = Routed(europa, a, b, *links)
    wait_for(lambda: a.ping("10.0.1.2", 1), "pings to pass")
    a.ip("link", "set", routed.left, "mtu", 3000)
    before = routed.vr.stat()["vnics"][0]
    assert not a.ping("10.0.1.2", 1, "-W", "1", "-M", "do", "-s", "2000")
    (device,) = json.loads(a.run("ip", "-s", "-j", "link", "show", routed.left).stdout)
    assert device["stats64"]["tx"]["dropped"] > 0
    assert routed.vr.stat()["vnics"][0]["drops"] == before["drops"]
    wait_for(lambda: a.ping("10.0.1.2", 2, "-M", "do", "-s", "1472"), "pings of the vNIC's MTU to pass")


@europads
def test_the_device_stays_at_one_queue(routed):
    """Frames of another one would have nowhere to go."""
    with pytest.raises(subprocess.CalledProcessError):
        subprocess.run(routed.a.argv("ethtool", "-L", routed.left, "tx", "2"), check=True, capture_output=True)
    wait_for(lambda: routed.a.ping("10.0.1.2", 2), "pings to pass")


def test_it_stays_so_through_a_checkpoint_and_a_switchs_death(routed, tmp_path):
    europa, vr = routed.europa, routed.vr
    wait_for(lambda: routed.a.ping("10.0.1.2", 1), "pings to pass")
    checkpoint(vr, tmp_path / "saved")
    restore(europa, tmp_path / "saved")
    assert kinds(vr) == ["device:xdp"] * 2
    wait_for(lambda: routed.a.ping("10.0.1.2", 2), "pings to pass after a restore")
    if SWITCH != "kmod":
        europa.end_switch()
        wait_for(lambda: vr.stat()["switch"]["epoch"] == 2 and vr.stat()["vnics"][0]["up"], "another switch")
        wait_for(lambda: routed.a.ping("10.0.1.2", 2), "pings to pass through the next europad")
        assert programs(europa) == 2
        # Its offloads are as they were made.
        stream(routed.a, routed.b, "10.0.1.2", MEGABYTES)
