# SPDX-License-Identifier: MIT
"""
A quota, and what it does to throughput and to a packet's time.
"""
import subprocess
import time
from pathlib import Path

import bench
from bench import BUILD, ROOT, VR, run
from figure import figure, in_turns, lines
from parts import GENERATORS, latency, options, pick, rates


@figure("quota", "Throughput under a quota, against that of a whole CPU", ["contender", "quota"], ["pps", "share", "cpu"],
        "set xlabel 'quota, percent of a CPU'\nset ylabel 'share of the throughput without a quota'\nset yrange [0:1.1]\n"
        "plot " + lines(["nullfwd"], "quota", "share") + ", x / 100 with lines dt 2 title 'in proportion'",
        f"""nullfwd between two generator ports of {bench.SWITCH}, 64 bytes, europad on CPU 0, nullfwd on CPU 1; the same VR under one quota after the
        other by europa-update, in turns. share: of what it did at 100 % in the same round.""")
def quota():
    vr = VR(ROOT / "image/nullfwd", *GENERATORS)
    bench.pin(bench.switch_pids(), 0)
    bench.pin(vr.pids(), 1)
    whole = 1
    for (percent,) in in_turns("quota", [100, 75, 50, 25, 10]):
        run(BUILD / "bin/europa-update", "--cpu", f"{percent}%", vr.name)
        time.sleep(0.2)
        used, start = bench.sum_runtime(vr.pids()), time.monotonic()
        (pps,) = rates([vr])
        cpu = 100 * (bench.sum_runtime(vr.pids()) - used) / (time.monotonic() - start)
        whole = pps if percent == 100 else whole
        yield dict(contender="nullfwd", quota=percent, pps=pps, share=pps / whole, cpu=cpu)


PERIODS = [5, 10, 20, 50, 100]
QUOTAS = [10, 25, 50]


@figure("periods", "Quota and period: the 99th percentile of a packet's time", ["quota", "period"], ["p50", "p99", "loss", "throttled"],
        "set logscale xy\nset xlabel 'period, ms'\nset ylabel 'microseconds'\nplot " + ", ".join(
            f"file using \"period\":(column('quota') == {q} ? column('p99') : NaN) with linespoints lw 2 title '{q} %'" for q in QUOTAS),
        f"""ipfwd on {bench.SWITCH} over veth. Beside it in the same VR's control group a process spins, so that the quota is always used up; a
        probe of 1000 packets/s counts its losses and its time. throttled: percent of the periods in which the VR was stopped. (For how long
        would be no share of anything: the kernel adds up the times of all CPUs on which something of the VR waited.)""")
def periods():
    path = bench.EuropaRouter()
    vr = path.vr
    spin = subprocess.Popen(["sh", "-c", "while :; do :; done"], stdin=subprocess.DEVNULL)
    try:
        join_group(vr, spin.pid)
        for percent, period in in_turns("periods", QUOTAS, PERIODS):
            if percent * period < 100:                  # the kernel gives no quota below a millisecond
                continue
            run(BUILD / "bin/europa-update", "--cpu", f"{percent}%", "--cpu-period", f"{period}ms", vr.name)
            time.sleep(0.2)
            before = vr.stat()["cpu"]
            figures = latency(path, 1000, max(1, options.seconds))
            after = vr.stat()["cpu"]
            periods_over, stopped = (after[key] - before[key] for key in ("periods", "periods_throttled"))
            yield dict(quota=percent, period=period, throttled=100 * stopped / periods_over) | pick(figures, "p50", "p99", "loss")
    finally:
        spin.kill()
        spin.wait()


def join_group(vr, pid):
    """The process into the VR's group of the hierarchy that holds the quota."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        directory = Path(line.split()[1], "europa", vr.name)
        if (directory / "cpu.cfs_quota_us").exists() or (directory / "cpu.max").exists():
            (directory / "cgroup.procs").write_text(str(pid))
            return
    raise RuntimeError("no control group with a quota")
