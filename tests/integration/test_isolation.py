# SPDX-License-Identifier: MIT
"""
Victims and neighbours: a router forwards a steady numbered stream beside a VR that spins, floods, dies again and again, or is hostile. What is lost
is counted by the numbers. How long packets take beside such neighbours is measured by `make figures`, on a machine that does nothing else.
"""
import threading

import pytest

from conftest import BUILD, SWITCH, Routed, program_image, wait_for

# Room for seconds of the stream: that long the switch and the VR may wait for a CPU, on a machine that does other work.
ROOMY = ("--pool", "16384", "--ring", "16384")
RATE, SECONDS = 1000, 4
# A tenth of a percent is what a free machine keeps to; this much is not the neighbour's doing on one that is not.
MOST_LOST = RATE * SECONDS // 50


@pytest.fixture
def victim(europa, a, b):
    routed = Routed(europa, a, b, *ROOMY)
    wait_for(lambda: routed.a.ping("10.0.1.2", 1), "pings to pass")
    return routed


def lost_in_stream(victim):
    """The steady stream through the victim: packets that were sent and didn't arrive."""
    said = victim.europa.home.run(BUILD / "tests" / "latency", "--from", f"{victim.a.name}:{victim.left}", "--to", f"{victim.b.name}:{victim.right}",
                                  "--mac", victim.vr.state()["vnics"][0]["mac"], "--dst", "10.0.1.2", "--rate", RATE, "--seconds", SECONDS).stdout
    words = said.split()
    figures = dict(zip(words[::2], words[1::2]))
    assert int(figures["sent"]) == RATE * SECONDS, said
    return int(figures["lost"])


def moved(vr, key="tx_packets"):
    return vr.stat()["vnics"][0][key]


def test_beside_a_vr_that_spins(europa, victim, tmp_path):
    neighbour = europa.start(program_image(tmp_path, "neighbour"), "--cpu", "25%", "--link", "0=none", "--link", "1=none",
                             args=["spin"])
    assert lost_in_stream(victim) <= MOST_LOST
    wait_for(lambda: neighbour.stat()["cpu"]["periods_throttled"] > 0, "the quota to stop the neighbour")


def test_beside_a_vr_that_floods(europa, victim, tmp_path):
    neighbour = europa.start(program_image(tmp_path, "neighbour"), "--cpu", "25%", args=["flood"])
    neighbour.join(0, europa.host("c"))
    before = wait_for(lambda: moved(neighbour), "the flood")
    assert lost_in_stream(victim) <= MOST_LOST
    assert moved(neighbour) > before


def test_beside_a_vr_that_is_flooded(europa, victim):
    """What comes too fast for the neighbour's quota is the neighbour's loss alone."""
    neighbour = europa.start("nullfwd", "--vnics", 2, "--cpu", "5%", "--link", "0=generator:size=64", "--link", "1=none")
    wait_for(lambda: moved(neighbour, "rx_packets"), "the flood")
    assert lost_in_stream(victim) <= MOST_LOST


def test_beside_a_vr_that_dies_and_restarts(europa, victim, tmp_path):
    image = program_image(tmp_path, "neighbour")
    over, statuses, name = threading.Event(), [], europa.name()

    def live_and_die():
        while not over.is_set():
            statuses.append(europa("run", "--rm", "--name", name, *europa.switch(), "--cpu", "25%", "--link", "0=none", "--link", "1=none", image,
                                   "die", check=False).returncode)
    loop = threading.Thread(target=live_and_die)
    loop.start()
    try:
        wait_for(lambda: statuses, "the first death")
        lost = lost_in_stream(victim)
    finally:
        over.set()
        loop.join()
    assert lost <= MOST_LOST
    assert len(statuses) > 2 and set(statuses) == {134}


def test_beside_a_hostile_vr(europa, victim, tmp_path):
    neighbour = europa.start(program_image(tmp_path, "hostile"), "--vnics", 2, "--cpu", "25%", "--link", "0=generator:size=64", "--link", "1=none")
    assert lost_in_stream(victim) <= MOST_LOST
    wait_for(lambda: neighbour.stat()["switch"]["status"] == "quarantined", "the quarantine")
    assert victim.vr.stat()["switch"]["violations"] == 0


def served(vr):
    return sum(vnic["rx_packets"] for vnic in vr.stat()["vnics"])


@pytest.mark.skipif(SWITCH == "kmod", reason="each VR has a worker of its own there")
def test_more_vnics_are_no_greater_share(europa):
    """europad has more for each of them than it can take."""
    few = europa.start("nullfwd", "--vnics", 1, "--link", "0=generator:size=64")
    many = europa.start("nullfwd", "--vnics", 8, *(word for n in range(8) for word in ("--link", f"{n}=generator:size=64")))
    before = served(few), served(many)
    wait_for(lambda: served(few) + served(many) > sum(before) + 10_000_000, "packets", timeout=60)
    shares = served(few) - before[0], served(many) - before[1]
    assert shares[1] < 2.5 * shares[0], shares
