# SPDX-License-Identifier: MIT
"""
64-byte UDP over veth.
"""
import statistics
import tempfile
from pathlib import Path

import bench
import peers
from bench import on_one_cpu, options, run, slowed
from figure import figure, in_turns, remark, those_that_run
from parts import POOLS, PROGRAMS


# Where it can't run, those that can are measured all the same.
SOME = [bench.EuropaXdpRouter, *peers.PEERS]
TITLES = [kind.title for kind in bench.ROUTERS + SOME]


@figure("figure5a", "Figure 5a: forwarded against offered, 64 bytes", ["contender", "offered"], ["pps", "cpu"],
        "set xlabel 'offered, thousand packets/s'\nset ylabel 'forwarded, thousand packets/s'\nplot " + ", ".join(
            f"file using (column('offered') / 1e3):(series('contender', '{c}', 'pps') / 1e3) with linespoints lw 2 title '{c}'" for c in TITLES),
        """UDP over veth, small tables, everything that routes on one CPU, the generator on the other: as in "64-byte UDP over veth".
        testpmd polls without pause, and so shares that CPU with the NIC thread whatever is offered.""")
def figure5a():
    paths = [kind() for kind in bench.ROUTERS] + those_that_run(SOME)
    with on_one_cpu(paths):
        for rate, path in in_turns("figure5a", bench.RATES, paths):
            pps, used = bench.offer(path, rate)
            yield dict(contender=path.title, offered=rate, pps=pps, cpu=100 * sum(used.values()))


# A million take `ip` gigabytes, and in an emulated machine minutes.
PREFIXES = [0, 170_000, 1_000_000] if options.slower == 1 else [0, 170_000]
ROUTED = [bench.EuropaRouter, bench.KernelRouter]
DESTINATIONS = 1 << 18


@figure("figure5b", "Figure 5b: forwarded against offered, by tables of any size", ["contender", "prefixes", "offered"], ["pps", "cpu"],
        "set xlabel 'offered, thousand packets/s'\nset ylabel 'forwarded, thousand packets/s'\nplot " + ", ".join(
            f"file using (column('offered') / 1e3):(column('prefixes') == {n} ? series('contender', '{kind.title}', 'pps') / 1e3 : NaN) "
            f"with linespoints lw 2 title '{kind.title}, {n:,} prefixes'" for kind in ROUTED for n in PREFIXES),
        """As figure 5a, with so many prefixes, of the lengths that the Internet's have (tests/unit/ipfwd_tables.h), at random places, all by one
        neighbour. Each packet goes to the next one of 262,144 addresses, each of which is anywhere in any of the prefixes. 0 prefixes: figure
        5a's two networks, and one address. The forwarder by recvfrom and testpmd have no table.""")
def figure5b():
    with tempfile.TemporaryDirectory() as directory:
        paths = [with_table(kind, n, Path(directory)) for n in PREFIXES for kind in ROUTED]
        most = {path: [] for path, _ in paths}
        with on_one_cpu(most):
            for rate, (path, n) in in_turns("figure5b", bench.RATES, paths):
                pps, used = bench.offer(path, rate)
                most[path].append(pps)
                yield dict(contender=path.title, prefixes=n, offered=rate, pps=pps, cpu=100 * sum(used.values()))
        for path, n in paths[len(ROUTED):]:
            (alone,) = (other for other, none in paths if not none and other.title == path.title)
            remark(f"{path.title}: with {n:,} prefixes {per_round(most[path]) / per_round(most[alone]):.0%} of what it forwards with none")


def per_round(rates):
    """The most that got through in a round, as the median of the rounds."""
    return statistics.median(max(rates[i:i + len(bench.RATES)]) for i in range(0, len(rates), len(bench.RATES)))


def with_table(kind, count, directory):
    """A router that has so many prefixes, and what is to be offered to it. Returns it with the count."""
    routes, letter = directory / f"{count}", f"{kind.__name__[0].lower()}{count // 1000}"
    prefixes = run(PROGRAMS / "prefixes", count).split() if count else []
    if kind is bench.EuropaRouter:
        routes.write_text("".join(f"route {prefix} via 10.0.1.2\n" for prefix in prefixes))
        path = kind("--config", routes, letter=letter)
    else:
        routes.write_text("".join(f"route add {prefix} via 10.0.1.2\n" for prefix in prefixes))
        path = kind(letter)
        path.router.run("ip", "-batch", routes)
    if count:
        path.targets = directory / f"targets-{letter}"
        addresses = run(PROGRAMS / "prefixes", count, DESTINATIONS).split()
        path.targets.write_text("".join(f"{path.left} {path.mac} {address}\n" for address in addresses))
    return path, count


@figure("figure8", "Figure 8: UDP and the size of the packet pool", ["slots"], ["pps"],
        "set logscale x 2\nset xlabel 'slots'\nset ylabel 'thousand packets/s'\nset yrange [0:]\nplot file using \"slots\":(column('pps') / 1e3) with"
        " linespoints lw 2 notitle",
        f"""ipfwd on {bench.SWITCH} over veth as in figure 5a, {slowed(400_000):,} packets/s of 64 bytes offered, each time with another pool,
        without super-packets.""")
def figure8():
    for (slots,) in in_turns("figure8", POOLS):
        path = bench.EuropaRouter("--pool", slots, "--runs", "0")
        with on_one_cpu([path]):
            pps, _ = bench.offer(path, slowed(400_000))
            yield dict(slots=slots, pps=pps)
        bench.clean_up_paths()


@figure("pdr", "The highest rate at which 0.5 % at most are lost", ["contender"], ["pps"],
        "set style data histograms\nset style fill solid 0.7\nset ylabel 'thousand packets/s'\nset yrange [0:]\nset xtics rotate by -20\n"
        "plot file using (column('pps') / 1e3):xtic(1) notitle",
        """As figure 5a; the rate is looked for as in RFC 2544, by bisection to 3 %. A trial offers one rate for --seconds, then waits for what is on
        its way, and compares what the devices at both ends have counted. A rate at which too much was lost is tried once more: somebody else may have
        wanted the CPU.""")
def pdr():
    paths = [kind() for kind in bench.ROUTERS] + those_that_run(SOME)
    with on_one_cpu(paths):
        for (path,) in in_turns("pdr", paths):
            if rate := highest_rate(path):
                yield dict(contender=path.title, pps=rate)
            else:
                remark(f"{path.title}: not measured: in a round it lost more than {TOLERATED:.1%} even of {SLOWEST:,} packets/s")


TOLERATED = 0.005
SLOWEST, FASTEST = slowed(10_000), slowed(3_000_000)


def highest_rate(path):
    """By bisection; None where even the slowest is too much."""
    if not passes(path, SLOWEST):
        return None
    good, bad = SLOWEST, FASTEST
    while bad / good > 1.03:
        rate = round((good * bad) ** 0.5)
        if passes(path, rate) or passes(path, rate):
            good = rate
        else:
            bad = rate
    return good


def passes(path, rate):
    sent, received = path.trial(rate)
    if not sent:
        raise RuntimeError(f"{path.title}: the generator sent nothing")
    return received >= (1 - TOLERATED) * sent
