# SPDX-License-Identifier: MIT
"""Pools of every size, rings, slots and MTUs: whatever the geometry, packets pass."""
import pytest

from conftest import BUILD, IMAGES, Routed, wait_for


@pytest.mark.parametrize("slots", [2, 3, 4, 5, 7, 8, 16, 63, 64, 65, 100, 1000, 2047, 2048, 10000])
def test_pings_pass_with_slots(europa, a, b, slots):
    routed = Routed(europa, a, b, "--pool", slots)
    assert routed.vr.stat()["pool"]["slots"] == slots
    # With so few slots the first packet can't wait until its next hop has answered; afterwards, one echo at a time, all pass.
    wait_for(lambda: a.ping("10.0.1.2", 1, "-W", "1"), "the first ping")
    wait_for(lambda: a.ping("10.0.1.2", 5), "pings to pass")


@pytest.mark.parametrize("options", [
    ("--ring", "2"), ("--ring", "65536"), ("--slot-size", "2K"), ("--slot-size", "4K"), ("--slot-size", "64000"),
    ("--runs", "0"), ("--runs", "1"), ("--pool", "2", "--ring", "2", "--runs", "0")], ids=" ".join)
def test_pings_pass_with(europa, a, b, options):
    Routed(europa, a, b, *options)
    wait_for(lambda: a.ping("10.0.1.2", 1, "-W", "1"), "the first ping")
    wait_for(lambda: a.ping("10.0.1.2", 5), "pings to pass")
    wait_for(lambda: a.ping("10.0.1.2", 3, "-s", "1400"), "pings to pass")


@pytest.mark.parametrize("slots", ["0", "1", "-1", "two", "1048577", ""])
def test_no_pool_of(europa, slots):
    done = europa("run", "--rm", "--pool", slots, IMAGES / "nullfwd", check=False)
    assert done.returncode == 125
    assert f'"{slots}"' in done.stderr and len(done.stderr.strip().splitlines()) == 1, done.stderr


def test_a_full_pool_is_counted_and_recovers(europa, a, b):
    """A flood into two slots: drops by cause, and pings afterwards."""
    routed = Routed(europa, a, b, "--pool", "2")
    wait_for(lambda: a.ping("10.0.1.2", 1, "-W", "1"), "the first ping")
    a.run(BUILD / "tests" / "udpgen", "--device", routed.left, "--to", routed.vr.state()["vnics"][0]["mac"], "--dst", "10.0.1.2",
          "--count", 200000)
    drops = routed.vr.stat()["vnics"][0]["drops"]
    wait_for(lambda: a.ping("10.0.1.2", 5), "pings to pass again")
    assert drops["bad_ring"] == drops["bad_index"] == drops["not_owned"] == 0


def test_thirty_two_vnics(europa, a):
    vr = europa.start("ipfwd", "--vnics", 32)
    assert len(vr.stat()["vnics"]) == 32
    vr.join(31, a, "10.0.31.2/24", "10.0.31.1")
    wait_for(lambda: a.ping("10.0.31.1", 3), "pings to pass")
