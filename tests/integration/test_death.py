# SPDX-License-Identifier: MIT
"""
Whoever dies, and however: a VR, its supervisor, the switch. Nothing is left, no slot is lost, nobody else notices.

Every slot has an owner at any time. `census` is the sum: what the switch holds and what the VR holds make up the pool.
"""
import json
import os
import random
import signal
import time

import pytest
from conftest import BUILD, BY_XDP, IMAGES, SWITCH, VR, Routed, process_alive, process_name, wait_for


class Load:
    """A generator that floods a device of a host, until it is stopped, or the device goes."""

    def __init__(self, host, device, mac, *options):
        self.child = host.popen(BUILD / "tests" / "udpgen", "--qdisc", "--device", device, "--to", mac,
                                "--dst", "10.0.1.2", *options)

    def stop(self):
        self.child.terminate()
        self.child.wait(timeout=10)


def flood(routed, *options):
    wait_for(lambda: routed.a.ping("10.0.1.2", 1), "pings to pass")
    return Load(routed.a, routed.left, routed.vr.state()["vnics"][0]["mac"], *options)


def forwarded(vr):
    return vr.stat()["vnics"][1]["tx_packets"]


def nothing_is_left_of(vr):
    wait_for(lambda: not vr.leftovers(), f"nothing to be left of {vr.name}: {vr.leftovers()}")


def all_slots_accounted(vr):
    """With nothing in flight, the VR holds what is in its alloc ring, and the switch holds the rest."""
    def settled():
        pool = vr.stat()["pool"]
        return pool["slots_of_vr"] == pool["alloc_ring"]["used"] and pool["runs_of_vr"] == 0 and pool["free_ring"]["used"] == 0
    wait_for(settled, f"every slot to come home: {vr.stat()['pool']}")


def test_kill_reaps_everything(routed):
    vr = routed.vr
    pids = vr.pids()
    assert len(pids) >= 2, "process 1 and the data plane"
    vr.kill()
    nothing_is_left_of(vr)
    assert not any(process_alive(pid) for pid in pids)
    assert vr.device(0) not in routed.a.devices() and vr.device(1) not in routed.b.devices()
    wait_for(lambda: not routed.europa.switch_pids(), "europad to follow the last VR")


def test_a_vr_that_ignores_term_is_killed_after_the_grace(europa):
    vr = europa.start("nullfwd", "--vnics", 2)
    for pid in vr.pids():
        os.kill(pid, signal.SIGSTOP)
    europa("kill", "--time", "1", vr.name)
    nothing_is_left_of(vr)


def test_kill_all(europa):
    vrs = [europa.start("nullfwd", "--vnics", n) for n in (1, 2, 4)]
    europa("kill", "--all")
    for vr in vrs:
        nothing_is_left_of(vr)
    assert europa.ps() == []


def test_killed_at_random_under_load_a_hundred_times(europa, a, b):
    """
    SIGKILL to the data plane, to process 1, or to the supervisor, at any moment of its life: while it starts, while it forwards
    at full load, while it is taken down. A bystander on the same switch loses no slot and goes on.
    """
    rnd = random.Random(4)
    bystander = Routed(europa, a, b)
    for turn in range(100):
        vr = VR(europa, europa.name() if turn < 20 else f"{europa.stem}x{turn}")
        europa.vrs.append(vr)
        starter = europa.popen("run", "--detach", "--rm", "--name", vr.name, *europa.switch(), "--vnics", "2", "--link",
                               "0=generator:size=64", "--link", "1=generator:size=64", IMAGES / "nullfwd")
        time.sleep(rnd.random() * 0.06)          # the moment is what is random
        victims = []
        while not victims and starter.poll() is None or not victims and vr.cgroups():
            victims = [pid for pid in vr.pids() if process_alive(pid)]
            if rnd.random() < 0.3:
                try:
                    victims.append(vr.supervisor())
                except (OSError, KeyError, ValueError):
                    pass
        if victims:
            try:
                os.kill(rnd.choice(victims), signal.SIGKILL)
            except ProcessLookupError:
                pass
        starter.wait(timeout=30)
        starter.stdout.close()
        europa.home.children.remove(starter)
        europa("kill", "--time", "0", vr.name, check=False)
        europa("ps", "-a")                       # sweeps what a killed supervisor left
        nothing_is_left_of(vr)
        europa.vrs.remove(vr)
    wait_for(lambda: a.ping("10.0.1.2", 5), "pings to pass")
    all_slots_accounted(bystander.vr)


@pytest.mark.skipif(SWITCH == "kmod", reason="is about europad")
def test_europad_is_started_with_nothing_open(europa):
    europa.home.run("sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", BUILD / "bin" / "europad", "--keep", env=europa.env)
    pid, = wait_for(europa.switch_pids, "europad")
    europa.start("nullfwd", "--vnics", 1).kill("--time", "0")
    assert europa.switch_pids() == [pid]
    os.kill(pid, signal.SIGTERM)
    wait_for(lambda: not europa.switch_pids(), "europad to end")


@pytest.mark.skipif(SWITCH == "kmod", reason="is about europad")
def test_a_switch_that_had_no_vr_for_a_while_is_taken_over_as_well(europa):
    """europad --keep has a VR, none, and another one; then it is killed. Its successor finds the devices where they were."""
    europa.home.popen(BUILD / "bin" / "europad", "--keep", "--foreground", env=europa.env)
    wait_for((europa.run_dir / "switch.sock").exists, "europad to listen")
    europa.start("nullfwd", "--vnics", 1).kill()
    vr = europa.start("nullfwd", "--vnics", 1)
    (device,) = json.loads(europa.home.ip("-j", "link", "show", vr.device(0)).stdout)
    europa.end_switch()
    wait_for(lambda: vr.stat()["switch"]["epoch"] == 2 and vr.stat()["switch"]["status"] == "attached", "another switch")
    assert json.loads(europa.home.ip("-j", "link", "show", vr.device(0)).stdout)[0]["ifindex"] == device["ifindex"]


@pytest.mark.parametrize("links", [[]] if SWITCH == "kmod" else [[], BY_XDP])
def test_the_switch_killed_under_load_comes_back(europa, a, b, links):
    """kill -9 of europad, or the module replaced: the VR lives, the next switch takes it over, traffic resumes, every slot is there."""
    routed = Routed(europa, a, b, *links)
    vr, load = routed.vr, flood(routed)
    try:
        for turn in range(5):
            wait_for(lambda n=forwarded(vr): forwarded(vr) > n, "traffic")
            epoch, pids = vr.stat()["switch"]["epoch"], vr.pids()
            routed.europa.end_switch()
            wait_for(lambda: vr.stat()["switch"]["epoch"] == epoch + 1 and vr.stat()["switch"]["status"] == "attached",
                     "another switch to take over")
            assert vr.pids() == pids, "the VR's processes live on"
            wait_for(lambda: vr.stat()["vnics"][0]["up"], "the vNIC to be up")
            # A device of its own came back where it had been, in the host's namespace, with its addresses, or is there to be moved.
            if rejoin(routed):
                load.stop()             # it ended with its device
                load = flood(routed)
            wait_for(lambda n=forwarded(vr): forwarded(vr) > n, "traffic to resume")
            load.stop()
            load = flood(routed)
    finally:
        load.stop()
    all_slots_accounted(vr)
    assert vr.stat()["switch"]["violations"] == 0
    wait_for(lambda: routed.a.ping("10.0.1.2", 5), "pings to pass")


def rejoin(routed):
    """Devices that died with the old switch are back in home; those that lived are where they were. How many died."""
    died = 0
    for n, host, address, gateway in ((0, routed.a, "10.0.0.2/24", "10.0.0.1"), (1, routed.b, "10.0.1.2/24", "10.0.1.1")):
        device = routed.vr.device(n)
        wait_for(lambda: device in host.devices() or device in routed.europa.home.devices(), f"{device} anywhere")
        if device not in host.devices():
            routed.vr.join(n, host, address, gateway)
            died += 1
    return died


def test_the_switch_comes_back_within_a_second_or_so(europa):
    """Not a benchmark: the deadline is generous, the figure is printed by make bench."""
    vr = europa.start("nullfwd", "--vnics", 2, "--link", "0=generator:size=64", "--link", "1=generator:size=64")
    switch = europa.switches()
    europa.end_switch()
    wait_for(lambda: europa.switches() not in ([], switch), "another switch", timeout=10)
    wait_for(lambda: vr.stat()["switch"]["status"] == "attached", "it to serve the VR", timeout=10)
    moved = vr.stat()["vnics"][0]["rx_packets"]
    wait_for(lambda: vr.stat()["vnics"][0]["rx_packets"] > moved, "packets", timeout=10)


def test_a_device_is_called_the_same_by_the_next_switch(europa):
    """Although the name that was taken when it was made is free by then."""
    name = europa.name() + "-a-long-name"
    vr = europa.start("nullfwd", "--vnics", 1, name=name)
    (first,) = (vnic["device"] for vnic in vr.stat()["vnics"])
    vr.kill()
    europa.home.ip("link", "add", first, "type", "bridge")
    vr = europa.start("nullfwd", "--vnics", 1, name=name)
    (second,) = (vnic["device"] for vnic in vr.stat()["vnics"])
    assert second != first
    europa.home.ip("link", "del", first)
    europa.end_switch()
    wait_for(lambda: vr.stat()["switch"]["epoch"] == 2 and vr.stat()["vnics"][0]["up"], "another switch, with the device")
    assert vr.stat()["vnics"][0]["device"] == second
    assert second in europa.home.names() and first not in europa.home.names()


def test_several_vrs_survive_the_switch(europa):
    vrs = [europa.start("nullfwd", "--vnics", 2, "--link", "0=generator:size=64", "--link", "1=none") for _ in range(4)]
    europa.end_switch()
    for vr in vrs:
        wait_for(lambda: vr.stat()["switch"]["epoch"] == 2, f"{vr.name} to be taken over")
    assert len(wait_for(europa.switches)) == 1, "one switch, whoever started it"


def test_the_supervisor_killed_is_swept(routed):
    """The next command that looks removes what runs; what the VR said is kept until europa-kill forgets it."""
    vr = routed.vr
    os.kill(vr.supervisor(), signal.SIGKILL)
    directory = [f"directory {routed.europa.run_dir / vr.name}"]
    wait_for(lambda: (routed.europa("ps", "-a"), vr.leftovers())[1] == directory, "the sweep")
    (row,) = routed.europa.ps()
    assert (row["status"], row["exit_code"]) == ("exited", 137)
    vr.kill()
    nothing_is_left_of(vr)


def test_the_data_plane_killed_is_reported(europa):
    vr = europa.start("nullfwd", "--vnics", 2)
    data_plane = [pid for pid in vr.pids() if process_name(pid) == "nullfwd"]
    os.kill(data_plane[0], signal.SIGKILL)
    wait_for(lambda: vr.state()["status"] == "exited", "its end to be seen")
    (row,) = [row for row in europa.ps() if row["name"] == vr.name]
    assert row["exit_code"] == 128 + signal.SIGKILL
    europa("kill", vr.name)
    nothing_is_left_of(vr)
