# SPDX-License-Identifier: MIT
"""
Cycles: of copies, of calls, and of a packet on its way.
"""
import tempfile

import bench
import peers
from bench import Namespace, note, on_one_cpu, options, run
from figure import figure, in_turns, remark, those_that_run
from parts import PROGRAMS, background


@figure("table1", "Table 1: cycles to copy a packet", ["bytes"], ["hot", "cold"],
        "set xlabel 'bytes'\nset ylabel 'TSC cycles'\nset yrange [0:]\nplot file using \"bytes\":\"hot\" with linespoints lw 2 title 'in the cache', "
        "file using \"bytes\":\"cold\" with linespoints lw 2 title 'not in the cache'",
        """memcpy of one packet between two buffers that are in the first-level cache, and between places in 256 MB taken in random order.""")
def table1():
    for number in range(options.rounds):
        note(f"table1: round {number + 1} of {options.rounds}")
        for line in run(PROGRAMS / "cycles", "copy").splitlines():
            size, hot, cold = line.split()
            yield dict(bytes=int(size), hot=float(hot), cold=float(cold))


@figure("table2", "Table 2: cycles of the calls that the shared memory does without", ["call", "bytes"], ["cycles"],
        "set style data histograms\nset style fill solid 0.7\nset ylabel 'TSC cycles'\nset logscale y\nset yrange [1:]\nset xtics rotate by -20\n"
        "plot file using \"cycles\":xtic(sprintf('%s %s', strcol('call'), strcol('bytes'))) notitle",
        """One send and one recvfrom of a packet socket on a veth pair, each call by itself; beside them the same hand-over between a VR and its
        switch: europa_rx and europa_tx of one packet, and of 32 at once.""")
def table2():
    net = Namespace("c")
    net.run("ip", "link", "add", "c0", "type", "veth", "peer", "name", "c1")
    for device in ("c0", "c1"):
        net.run("ip", "link", "set", device, "up")
    for number in range(options.rounds):
        note(f"table2: round {number + 1} of {options.rounds}")
        for line in net.run(PROGRAMS / "cycles", "calls", "c0", "c1").splitlines():
            call, size, cycles = line.rsplit(maxsplit=2)
            yield dict(call=call, bytes=int(size), cycles=float(cycles))


# Where a packet's cycles go: the first stage of which a function is in the call chain. Functions have the names of Linux 6.18 here; where another
# kernel calls them otherwise, more counts as other work.
STAGES = {
    "freeing": ["skb_release_data", "kfree_skbmem", "skb_free_head", "napi_consume_skb", "consume_skb", "kfree_skb_list_reason"],
    "receiving host": ["process_backlog"],
    "packet socket": ["tpacket_rcv", "packet_rcv"],
    "sending": ["__sys_sendto", "__sys_sendmmsg", "__sys_sendmsg", "xsk_sendmsg", "ip_output", "ip_forward_finish"],
    "IP": ["ip_list_rcv", "ip_rcv"],
    "building": ["__xdp_build_skb_from_frame", "veth_convert_skb_to_xdp_buff", "napi_skb_cache_get_bulk", "eth_type_trans"],
    "XDP": ["veth_xdp_rcv_one", "veth_xdp_rcv_skb"],
    "GRO": ["gro_receive_skb", "napi_gro_receive", "napi_gro_flush", "gro_flush"],
    "receiving": ["__sys_recvfrom", "__sys_recvmmsg"],
    "sleeping": ["schedule", "__x64_sys_ppoll", "__x64_sys_poll", "__x64_sys_clock_nanosleep"],
}
PARTIES = {"nic": "NIC thread", "switch": "europad", "VR": "VR", "router": "router"}
COLUMNS = [*STAGES, "other kernel work", "europad's own", "router's own"]
COLOURS = "a6cee3 1f78b4 b2df8a 33a02c fb9a99 e31a1c fdbf6f ff7f00 cab2d6 6a3d9a d9d9d9 b15928 000000".split()


@figure("stages", "What a packet's cycles are used for", ["contender"], ["pps", *PARTIES.values(), *COLUMNS],
        "set style data histograms\nset style histogram rowstacked\nset style fill solid 0.7\nset boxwidth 0.7\nset ylabel 'TSC cycles a packet'\n"
        "set yrange [0:]\nset xtics rotate by -15\n"
        "plot " + ", ".join(f"file using \"{stage}\":xtic(1) title \"{stage}\" lc rgb '#{colour}'"
                            for stage, colour in zip(COLUMNS, COLOURS)),
        """As figure 5a, at the rate at which the most gets through. By thread from schedstat; by stage from perf (cpu-clock with call chains), a
        sample belongs to the first of the stages of which a function is in its chain. freeing: sk_buffs and their pages, given back wherever that
        is; receiving host: the backlog softirq, in which the sink gets the packet, on the router's CPU; own: outside of the kernel.""")
def stages():
    paths = [kind() for kind in bench.ROUTERS] + those_that_run(peers.PEERS)
    with on_one_cpu(paths), tempfile.TemporaryDirectory() as directory:
        for (path,) in in_turns("stages", paths):
            _, _, rate = bench.best_of(path)
            pps, used = bench.offer(path, rate)
            cycles = {PARTIES[party]: share * bench.tsc_hz() / pps for party, share in used.items()}
            yield dict(contender=path.title, pps=pps) | cycles | by_stage(path, rate, sum(cycles.values()), f"{directory}/perf")


def by_stage(path, rate, cycles, file):
    """The cycles of a packet, shared out by what perf has seen."""
    try:
        with background(path, rate):
            pids = ",".join(str(pid) for pids in path.parties.values() for pid in pids)
            run("perf", "record", "-q", "-e", "cpu-clock", "-F", "4999", "-g", "-o", file, "-p", pids, "--", "sleep", options.seconds)
        samples = run("perf", "script", "-i", file, "-F", "pid,ip,sym,dso").split("\n\n")
    except (OSError, RuntimeError) as error:
        remark(f"by stage: not measured: perf: {error}")
        return {}
    found = [stage_of(sample.split("\n"), path) for sample in samples if sample.strip()]
    return {stage: cycles * found.count(stage) / len(found) for stage in COLUMNS if found}


def stage_of(lines, path):
    """lines: the pid, then the call chain from inside out, ADDRESS FUNCTION (OBJECT) each."""
    pid, chain = int(lines[0].split()[0]), [line.split() for line in lines[1:] if line.strip()]
    if not chain or not in_kernel(chain[0]):
        return "europad's own" if pid in path.parties.get("switch", []) else "router's own"
    functions = {frame[1] for frame in chain if len(frame) > 2}
    return next((stage for stage, names in STAGES.items() if not functions.isdisjoint(names)), "other kernel work")


def in_kernel(frame):
    return frame[-1].startswith(("([kernel", "(bpf_", "([bpf")) or frame[-1].endswith(".ko)")
