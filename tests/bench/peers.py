# SPDX-License-Identifier: MIT
"""
Other people's routers in user mode, for the figures. Each is a path as in bench.py; where it can't run, its constructor says why.
"""
import re
import shutil
import signal
import subprocess
import tempfile
import time

from bench import BUILD, ROUTER_CPU, RUN_DIR, ProgramRouter, run


class Peer(ProgramRouter):
    """Ready when packets get through."""

    def __init__(self, letter):
        self.log = tempfile.TemporaryFile("w+")
        super().__init__(letter)
        for _ in range(40):
            if self.process.poll() is not None:
                raise RuntimeError(f"it ended: {self.last_words()}")
            if self.forwards():
                self.rest()
                return
        raise RuntimeError(f"nothing gets through: {self.last_words()}")

    def rest(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def start_logged(self, *argv):
        # Its input is open and silent: where that ends testpmd leaves.
        return self.router.popen(*argv, stdin=subprocess.PIPE, stdout=self.log, stderr=self.log)

    def last_words(self):
        """The last line that tells of a failure, or else the last one."""
        self.log.seek(0)
        lines = [line.strip() for line in self.log if line.strip()] or ["it said nothing"]
        return next((line for line in reversed(lines) if re.search("fail|error|cannot|invalid|denied", line, re.I)), lines[-1])

    def forwards(self):
        before = self.received()
        self.gen.run(BUILD / "tests/udpgen", "--device", self.left, "--to", self.mac, "--dst", "10.0.1.2", "--count", "10")
        time.sleep(0.2)
        return self.received() >= before + 10


class Testpmd(Peer):
    """DPDK's forwarder, which changes the MAC addresses and looks at nothing else."""

    def start(self):
        testpmd = shutil.which("dpdk-testpmd")
        if not testpmd:
            raise RuntimeError("dpdk-testpmd is not installed")
        devices = [f"--vdev={self.driver.format(n=n, device=device)}" for n, device in enumerate(("in", "out"))]
        return self.start_logged("env", f"RUNTIME_DIRECTORY={RUN_DIR}", testpmd, "--lcores", f"0@{ROUTER_CPU},1@{ROUTER_CPU}", "--no-huge",
                                 "--no-shconf", "-m", "512", "--no-pci", "--no-telemetry", *devices, "--", "--total-num-mbufs=16384", "--burst=32",
                                 "--no-lsc-interrupt", "--auto-start", "--forward-mode=mac", f"--eth-peer=1,{self.sink.mac(self.right)}")


class TestpmdPacket(Testpmd):
    title = "testpmd over af_packet"
    driver = "net_af_packet{n},iface={device},qdisc_bypass=1"

    def __init__(self, letter="t"):
        super().__init__(letter)


class TestpmdXdp(Testpmd):
    title = "testpmd over AF_XDP"
    driver = "net_af_xdp{n},iface={device}"

    def __init__(self, letter="x"):
        super().__init__(letter)


class Click(Peer):
    """The Click modular router, where somebody has installed it: Debian doesn't have it, but has another program of that name."""
    title = "user-mode Click"

    def __init__(self, letter="c"):
        super().__init__(letter)

    def start(self):
        click = shutil.which("click")
        if not click or "Click" not in run(click, "--version", check=False).split("\n")[0]:
            raise RuntimeError("the Click modular router is not installed")
        return self.start_logged(click, "-e", f"""
            FromDevice(in, METHOD LINUX, PROMISC true, BURST 32) -> Strip(14) -> CheckIPHeader -> DecIPTTL
            -> EtherEncap(0x0800, {self.router.mac("out")}, {self.sink.mac(self.right)}) -> Queue(1024) -> ToDevice(out, METHOD LINUX, BURST 32)""")


PEERS = [TestpmdPacket, TestpmdXdp, Click]
