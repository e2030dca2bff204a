# SPDX-License-Identifier: MIT
"""l2switch: three stations, a packet socket each, and no IP stack behind them."""
import pytest
from scapy.layers.l2 import Ether

from conftest import wait_for

STATION = [f"02:00:00:00:00:{n:02x}" for n in range(10, 14)]
KIND = 0x88b5


class Bridge:
    def __init__(self, europa, *args):
        self.vr = europa.start("l2switch", "--vnics", 3, args=args)
        self.wires = []
        for n in range(3):
            host = europa.host(f"p{n}")
            self.wires.append(europa.wire(host, self.vr.join(n, host)))

    def send(self, port, src, dst, payload):
        self.wires[port].send(Ether(src=src, dst=dst, type=KIND) / payload.ljust(50, b"\0"))

    def receivers(self, port, src, dst):
        """
        The ports out of which a frame leaves. Broadcasts follow it, one after the other has arrived everywhere. One would not do: a
        bridge keeps the order of frames to one station, not of a frame to a station and one to all.
        """
        others = [n for n in range(len(self.wires)) if n != port]
        found = []
        self.send(port, src, dst, b"frame")
        for marker in (b"first", b"second", b"third"):
            self.send(port, src, "ff:ff:ff:ff:ff:ff", marker)
            for n in others:
                seen = self.wires[n].until(lambda f: f.type == KIND and bytes(f.payload).startswith(marker))
                found += [n] * sum(f.type == KIND and bytes(f.payload).startswith(b"frame") for f in seen)
        return sorted(found)


@pytest.fixture
def bridge(europa):
    return Bridge(europa)


def test_floods_what_it_does_not_know(bridge):
    assert bridge.receivers(0, STATION[0], STATION[1]) == [1, 2]


def test_learns_where_a_station_is(bridge):
    bridge.send(1, STATION[1], STATION[3], b"here I am")
    bridge.wires[0].expect(lambda f: f.src == STATION[1])
    assert bridge.receivers(0, STATION[0], STATION[1]) == [1]
    assert bridge.receivers(2, STATION[2], STATION[0]) == [0]


def test_follows_a_station_that_moves(bridge):
    bridge.send(1, STATION[1], STATION[3], b"here I am")
    bridge.wires[0].expect(lambda f: f.src == STATION[1])
    bridge.send(2, STATION[1], STATION[3], b"now here")
    bridge.wires[0].expect(lambda f: f.src == STATION[1] and bytes(f.payload).startswith(b"now"))
    assert bridge.receivers(0, STATION[0], STATION[1]) == [2]


def test_forgets_a_silent_station(europa):
    bridge = Bridge(europa, "--ageing", "1")
    bridge.send(1, STATION[1], STATION[3], b"here I am")
    bridge.wires[0].expect(lambda f: f.src == STATION[1])
    wait_for(lambda: bridge.receivers(0, STATION[0], STATION[1]) == [1, 2], "the station to be forgotten", step=0.2)


def test_broadcast_and_multicast_go_to_every_other_port(bridge):
    assert bridge.receivers(0, STATION[0], "ff:ff:ff:ff:ff:ff") == [1, 2]
    assert bridge.receivers(1, STATION[1], "01:00:5e:00:00:01") == [0, 2]


def test_a_frame_never_leaves_where_it_came_in(bridge):
    bridge.send(0, STATION[0], "ff:ff:ff:ff:ff:ff", b"out")
    bridge.wires[1].expect(lambda f: bytes(f.payload).startswith(b"out"))
    bridge.send(1, STATION[1], "ff:ff:ff:ff:ff:ff", b"end")
    seen = bridge.wires[0].until(lambda f: f.src == STATION[1])
    assert not [f for f in seen if f.src == STATION[0]]


def test_does_not_learn_group_addresses(bridge):
    bridge.send(1, "03:00:00:00:00:01", STATION[0], b"odd")
    assert bridge.receivers(0, STATION[0], "03:00:00:00:00:01") == [1, 2]
