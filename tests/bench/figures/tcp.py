# SPDX-License-Identifier: MIT
"""
TCP through routers.
"""
import bench
from figure import figure, in_turns
from parts import POOLS, pick


@figure("figure7a", "Figure 7a: TCP through one router", ["contender"], ["gbps", "retransmits", "sender", "receiver"],
        "set style data histograms\nset style fill solid 0.7\nset ylabel 'Gbit/s'\nset yrange [0:]\nplot file using \"gbps\":xtic(1) notitle",
        """iperf3 over veth, one stream, offloads as Linux sets them, nothing pinned; sender and receiver: their CPU in percent.""")
def figure7a():
    paths = [bench.EuropaRouter(), bench.SuperSocketRouter(), bench.KernelRouter()]
    with bench.iperf_servers(paths):
        for (path,) in in_turns("figure7a", paths):
            yield dict(contender=path.title) | bench.iperf(path)


@figure("figure8b", "Figure 8: TCP and the size of the packet pool", ["slots"], ["gbps", "retransmits"],
        "set logscale x 2\nset xlabel 'slots'\nset ylabel 'Gbit/s'\nset yrange [0:]\n"
        "plot file using \"slots\":\"gbps\" with linespoints lw 2 notitle",
        f"""ipfwd on {bench.SWITCH} over veth as in figure 7a, each time with another pool, without super-packets: sender and receiver have
        segmentation offload turned off, so that each packet wants a slot.""")
def figure8b():
    for (slots,) in in_turns("figure8b", POOLS):
        path = bench.EuropaRouter("--pool", slots, "--runs", "0")
        for net, device in ((path.gen, path.left), (path.sink, path.right)):
            net.run("ethtool", "-K", device, "tso", "off", "gso", "off")
        with bench.iperf_servers([path]):
            yield dict(slots=slots) | pick(bench.iperf(path), "gbps", "retransmits")
        bench.clean_up_paths()
