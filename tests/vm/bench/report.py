# SPDX-License-Identifier: MIT
"""
What the profile plugin counted, as tables: instructions a packet, by round and by stage.

    report.py DIR OUT.json [SYMBOLS]

DIR has `intervals` and `symbols` (see guest) and the plugin's files. With SYMBOLS, a number, that many functions of each contender follow.
"""
import bisect
import collections
import json
import re
import statistics
import sys
from pathlib import Path

MTU_PAYLOAD = 1448              # bytes of TCP in a full segment
TITLES = {
    "alone": "the generator, and how frames come in, alone", "cable": "the two hosts alone", "straight": "bare rx_handler forwarder",
    "kernel": "Linux ip_forward", "europa": "**ipfwd on EuropaKM**", "socket": "recvfrom/send forwarder",
}
GENERATOR = "generator"
# The first that matches, on "module function".
STAGES = [
    ("user mode", r"^user "),
    ("EuropaKM", r"^europa "),
    (GENERATOR, r"^pktgen "),
    ("packet socket", r"^(af_packet )|packet_|sock_|sys_recv|sys_send|__skb_recv|__skb_wait|import_single|move_addr|skb_copy_datagram|datagram"),
    ("copies, zeros", r" (memcpy|memset|clear_page_\w*|copy_user_\w*|rep_\w*|__memcpy|__memset)$"),
    ("devices", r"^(veth|straight|dummy) |netif_(skb_f|rx|recei)|net_rx_action|backlog|softirq|local_bh|dev_(queue|hard|forw|dire)|validate_xmit|"
                r"netdev_(core|pick)|eth_|napi_poll|rx_handler|skb_network_protocol|skb_scrub"),
    ("sk_buffs", r"skb|kmem_cache|kmalloc|kfree|slab|page_frag|cache_from_obj|should_failslab|"
                 r"alloc_pages|free_page|free_unref|free_pcp|get_page_from"),
    ("IP and neighbours", r" (__)?(ip|ip4|ipv4|fib|nf|neigh|inet|rt|dst|l3mdev)_"),
]
REST = "scheduler, system calls, timers"


class Symbols:
    def __init__(self, path):
        found = []
        for line in path.read_text().splitlines():
            address, kind, name, *module = line.split()
            if kind in "tTwW":
                found.append((int(address, 16), f"{module[0].strip('[]') if module else 'vmlinux'} {name}"))
        found.sort()
        self.addresses, self.names = zip(*found)

    def name(self, address):
        if address < 1 << 63:
            return "user mode"
        return self.names[bisect.bisect_right(self.addresses, address) - 1]


def stage(name):
    return next((title for title, pattern in STAGES if re.search(pattern, name)), REST)


class Contender:
    """Rounds of instructions by function, each for one packet, or one segment of TCP."""

    def __init__(self):
        self.rounds, self.lost = [], 0

    def add(self, counts, units, lost):
        self.rounds.append({name: n / units for name, n in counts.items()})
        self.lost += lost

    def totals(self):
        return [sum(counts.values()) for counts in self.rounds]

    def total(self):
        return statistics.median(self.totals())

    def functions(self):
        names = set().union(*self.rounds)
        return {name: statistics.median(counts.get(name, 0) for counts in self.rounds) for name in names}

    def stages(self):
        sums = collections.Counter()
        for name, n in self.functions().items():
            sums[stage(name)] += n
        return sums


def read(directory, symbols):
    sections = {}
    for number, line in enumerate((directory / "intervals").read_text().splitlines(), 1):
        section, name, sent, arrived = line.split()
        counts = collections.Counter()
        for block in (directory / f"profile.{number}").read_text().splitlines():
            address, n = block.split()
            counts[symbols.name(int(address, 16))] += int(n)
        units = int(sent) if section == "packets" else int(sent) / MTU_PAYLOAD
        contender = sections.setdefault(section, {}).setdefault(name, Contender())
        contender.add(counts, units, int(sent) - int(arrived) if section == "packets" else 0)
    return sections


def without_waiting(section, base):
    """
    Where a softirq was put off, pktgen spins until the next tick for its last packet: millions of instructions that are nobody's. What it does
    for a packet it does for all alike, and that is what it took alone.
    """
    alone = section[base].functions()
    for contender in section.values():
        for counts in contender.rounds:
            for name in counts:
                if stage(name) == GENERATOR:
                    counts[name] = alone.get(name, 0)


def cell(values):
    return f"{statistics.median(values):.0f} ({min(values):.0f}..{max(values):.0f})"


def table(section, base, unit):
    ground = section[base]
    print(f"| | instructions/{unit} | net |\n|---|---:|---:|")
    for name, contender in section.items():
        net = "" if name == base else f"{contender.total() - ground.total():.0f}"
        print(f"| {TITLES[name]} | {cell(contender.totals())} | {net} |")
    for name, contender in section.items():
        if contender.lost:
            print(f"\n{TITLES[name]}: {contender.lost} packets were lost")
    titles = [title for title, _ in STAGES] + [REST]
    print(f"\n| net, by stage | {' | '.join(titles)} |\n|---|{'---:|' * len(titles)}")
    for name, contender in section.items():
        if name == base:
            continue
        net = contender.stages()
        net.subtract(ground.stages())
        print(f"| {TITLES[name]} | {' | '.join(f'{net[title]:.0f}' for title in titles)} |")
    print()


def ratio(section, base, other, goal, net):
    """How much faster ipfwd is than the other one, where an instruction is an instruction."""
    less = section[base].total() if net else 0
    value = (section[other].total() - less) / (section["europa"].total() - less)
    print(f"ipfwd on EuropaKM / {TITLES[other]}{', net' if net else ''}: {value:.2f}{f' (to reach: {goal})' if goal else ''}")


def show_functions(section, base, most):
    ground = section[base].functions()
    for name, contender in section.items():
        net = collections.Counter(contender.functions())
        if name != base:
            net.subtract(ground)
        print(f"\n{TITLES[name]}{', net' if name != base else ''}:\n")
        for function, n in net.most_common(most):
            print(f"    {n:9.1f}  {function}  ({stage(function)})")


def main():
    directory, out, most = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 0
    sections = read(directory, Symbols(directory / "symbols"))
    packets, tcp = sections["packets"], sections.get("tcp")
    without_waiting(packets, "alone")
    print("## 64-byte UDP over veth\n")
    table(packets, "alone", "packet")
    ratio(packets, "alone", "kernel", 0.9, False)
    ratio(packets, "alone", "kernel", None, True)
    ratio(packets, "alone", "socket", 2, True)
    if tcp:
        print("\n## TCP over veth, one stream, offloads as Linux sets them\n")
        table(tcp, "cable", f"{MTU_PAYLOAD} bytes")
        ratio(tcp, "cable", "kernel", 0.95, False)
        ratio(tcp, "cable", "kernel", None, True)
    if most:
        for section, base in ((packets, "alone"), (tcp, "cable")):
            if section:
                show_functions(section, base, most)
    out.write_text(json.dumps({
        title: {name: {"rounds": c.totals(), "lost": c.lost, "stages": c.stages(), "functions": c.functions()} for name, c in section.items()}
        for title, section in sections.items()}, indent=1))


main()
