# SPDX-License-Identifier: MIT
"""
What several figures are made of.
"""
import contextlib
import time

from bench import BUILD, end, options

PROGRAMS = BUILD / "tests"
GENERATORS = ("--vnics", "2", "--link", "0=generator:size=64", "--link", "1=generator:size=64")
POOLS = [2, 4, 8, 16, 32, 64, 128, 256]         # slots


def latency(path, rate, seconds=None, port=9, steady=False):
    """What tests/latency says about the way from path.gen to path.sink, by name."""
    words = path.gen.run(PROGRAMS / "latency", *(["--steady"] if steady else []),
                         "--from", f"{path.gen.name}:{path.left}", "--to", f"{path.sink.name}:{path.right}", "--mac", path.mac,
                         "--dst", "10.0.1.2", "--rate", rate, "--seconds", seconds or options.seconds, "--port", port).split()
    said = dict(zip(words[::2], map(float, words[1::2])))
    return dict(loss=100 * said["lost"] / said["sent"], p50=said["p50"], p90=said["p90"], p99=said["p99"], p999=said["p999"])


def pick(values, *names):
    return {name: values[name] for name in names}


def packets(vr, key="tx_packets"):
    return sum(vnic[key] for vnic in vr.stat()["vnics"])


def rates(vrs, key="tx_packets"):
    """Packets/s of each VR over the same time."""
    before, start = [packets(vr, key) for vr in vrs], time.monotonic()
    time.sleep(options.seconds)
    after, elapsed = [packets(vr, key) for vr in vrs], time.monotonic() - start
    return [(b - a) / elapsed for a, b in zip(before, after)]


def jain(shares):
    """Jain's index: 1 where all have the same, 1/n where one has all."""
    if not any(shares):
        raise RuntimeError("nobody forwards anything")
    return sum(shares) ** 2 / (len(shares) * sum(s * s for s in shares))


@contextlib.contextmanager
def background(path, rate):
    """So many packets/s while something else is measured."""
    generator = path.generate(rate)
    try:
        time.sleep(0.2)
        yield
    finally:
        end(generator)
