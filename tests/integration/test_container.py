# SPDX-License-Identifier: MIT
"""
The container: how a VR's program is run, what it can't do from inside, and that nothing is left of a start that failed.

Each image here has one program, tests/integration/probe.c, which looks about, tries what must not work, and prints what came of it.
"""
import hashlib
import itertools
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from conftest import BUILD, ROOT, VR, command, libc, process_alive, process_command, process_state, processes, wait_for

PROBE = BUILD / "tests" / "probe"


def make_image(path, args=("/probe", "exit", "0"), *, annotations=None, **process):
    """An OCI bundle whose root has the probe. `process`: members of config.json's process."""
    root = path / "rootfs"
    root.mkdir(parents=True)
    shutil.copy(PROBE, root / "probe")
    config = {"ociVersion": "1.0.2", "process": {"args": list(args), "cwd": "/", **process}, "root": {"path": "rootfs"}}
    if annotations:
        config["annotations"] = annotations
    (path / "config.json").write_text(json.dumps(config, indent=1))
    return path


@pytest.fixture
def image(tmp_path):
    count = itertools.count()
    return lambda *args, **options: make_image(tmp_path / f"image{next(count)}", args or ("/probe", "exit", "0"), **options)


class Box:
    """Runs images in the foreground; and, by start(), in the background."""

    def __init__(self, europa):
        self.europa = europa
        self.vr = VR(europa, europa.name())     # one after the other
        europa.vrs.append(self.vr)

    def argv(self, image, *options, args=(), build=BUILD):
        return [build / "bin" / "europa-run", "--rm", "--name", self.vr.name, *options, image, *(["--", *args] if args else [])]

    def run(self, image, *options, args=(), build=BUILD, wrapper=(), **more):
        more.setdefault("env", self.europa.env)
        more.setdefault("check", False)
        return self.europa.home.run(*wrapper, *self.argv(image, *options, args=args, build=build), **more)

    def __call__(self, image, *args, options=(), **more):
        """What the probe prints when run with these arguments."""
        done = self.run(image, *options, args=args, **more)
        assert done.returncode == 0, f"{args}: exit status {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout

    def start(self, image, *options, args=(), wrapper=()):
        """Detached. Whether it still runs, the caller knows."""
        vr = VR(self.europa, self.europa.name())
        self.europa.vrs.append(vr)
        self.europa.home.run(*wrapper, BUILD / "bin" / "europa-run", "--detach", "--name", vr.name, *options, image,
                             *(["--", *args] if args else []), env=self.europa.env)
        return vr

    def exec(self, vr, *argv, **more):
        return self.europa("exec", vr.name, *argv, **more)


@pytest.fixture
def box(europa):
    return Box(europa)


def results(text):
    """What the probe says of its attempts: a list of (attempt, result)."""
    return [tuple(line.split(": ", 1)) for line in text.splitlines() if ": " in line]


def refused(text, *but):
    """Every attempt failed, but for those."""
    attempts = results(text)
    assert attempts, text
    for attempt, result in attempts:
        assert (result == "ok") == (attempt in but), f"{attempt}: {result}"


def status_lines(text):
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


# ---- running ----

@pytest.mark.parametrize("status", [0, 1, 7, 125, 126, 127, 255])
def test_the_programs_exit_status_is_the_commands(box, image, status):
    assert box.run(image("/probe", "exit", str(status))).returncode == status


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_a_signals_exit_status_is_128_and_its_number(box, image, number):
    assert box.run(image("/probe", "kill", str(int(number)))).returncode == 128 + number


@pytest.mark.parametrize("detach", [(), ("--detach",)])
def test_a_program_that_is_not_there_is_127(box, image, detach):
    done = box.run(image("/nowhere"), *detach)
    assert done.returncode == 127
    assert re.fullmatch(r'europa-run: exec "/nowhere": no such file or directory\n', done.stderr, re.IGNORECASE)


@pytest.mark.parametrize("detach", [(), ("--detach",)])
def test_a_program_that_cannot_be_executed_is_126(box, image, detach):
    bundle = image("/text")
    (bundle / "rootfs" / "text").write_text("no program\n")
    done = box.run(bundle, *detach)
    assert done.returncode == 126
    assert 'exec "/text": ' in done.stderr and len(done.stderr.splitlines()) == 1
    (bundle / "rootfs" / "text").chmod(0o755)
    done = box.run(bundle, *detach)
    assert done.returncode == 126 and "format" in done.stderr


def test_the_programs_path_is_searched(box, image):
    bundle = image("probe", "exit", "3", env=["PATH=/none:/bin:/opt"])
    (bundle / "rootfs" / "opt").mkdir()
    (bundle / "rootfs" / "probe").rename(bundle / "rootfs" / "opt" / "probe")
    assert box.run(bundle).returncode == 3
    assert box.run(image("nowhere", env=["PATH=/bin"])).returncode == 127


def test_an_error_of_ones_own_is_125(box, tmp_path):
    done = box.run(tmp_path / "nowhere")
    assert done.returncode == 125
    assert done.stderr.startswith("europa-run: image ") and len(done.stderr.splitlines()) == 1


def test_stdio_is_the_callers(box, image):
    assert box(image("/probe"), "echo", input="a word\n", stdin=None) == "a word\n"


def test_signals_go_on_to_the_program(europa, box, image):
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
        child = europa.home.popen(*box.argv(image("/probe", "signal")), env=europa.env)
        assert child.stdout.readline() == "ready\n"
        child.send_signal(number)
        assert child.wait(30) == number


def test_detach_returns_when_the_program_runs(europa, box, image):
    vr = box.start(image("/probe", "wait"))
    assert vr.state()["status"] == "running"
    assert europa.ps()[0]["name"] == vr.name


def test_a_detached_supervisor_holds_nothing_of_its_caller(europa, box, image):
    with subprocess.Popen(europa.home.argv(*box.argv(image("/probe", "wait"), "--detach")), env=europa.env, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as child:
        # The end of file comes although the VR runs on.
        assert child.stdout.read().strip() == box.vr.name
    supervisor = box.vr.supervisor()
    assert [os.readlink(f"/proc/{supervisor}/fd/{n}") for n in range(3)] == ["/dev/null"] * 3
    assert os.readlink(f"/proc/{supervisor}/cwd") == "/"
    assert os.getsid(supervisor) == supervisor


def test_what_a_detached_program_prints_is_logged(europa, box, image):
    vr = box.start(image("/probe", "print", "2"))
    wait_for(lambda: vr.state()["status"] == "exited", "the end")
    assert europa("logs", vr.name).stdout.startswith("line 0 of")
    assert vr.state()["exit_code"] == 0


def test_the_log_is_of_limited_size(europa, box, image):
    vr = box.start(image("/probe", "print", "50000"))          # 4.6 MB
    wait_for(lambda: vr.state()["status"] == "exited", "the end")
    log = europa.run_dir / vr.name / "log"
    sizes = [log.stat().st_size, log.with_suffix(".1").stat().st_size]
    assert all(size <= 1 << 20 for size in sizes) and sum(sizes) > 1 << 20
    assert log.read_text().splitlines()[-1].startswith("line 49999 ")


def test_every_line_of_the_log_has_a_time(europa, box, image):
    vr = box.start(image("/probe", "print", "50000"))
    wait_for(lambda: vr.state()["status"] == "exited", "the end")
    lines = europa("logs", vr.name).stdout.splitlines()
    stamped = europa("logs", "-t", vr.name).stdout.splitlines()
    assert [line.split(" ", 1)[1] for line in stamped] == lines
    assert not [line for line in stamped if not re.match(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z ", line)]


def test_a_log_directory_of_ones_own(europa, box, image, tmp_path):
    vr = box.start(image("/probe", "print"), "--log-dir", tmp_path)
    wait_for(lambda: vr.state()["status"] == "exited", "the end")
    assert (tmp_path / f"{vr.name}.log").read_text().startswith("line 0")


def test_rm_forgets_the_vr_when_it_ends(europa, box, image):
    vr = box.start(image("/probe", "exit"), "--rm")
    wait_for(lambda: not vr.leftovers(), "the directory to go, and the supervisor after it")


def test_a_vr_that_has_ended_is_remembered(europa, box, image):
    vr = box.start(image("/probe", "exit", "9"))
    wait_for(lambda: vr.state()["status"] == "exited", "the end")
    assert vr.state()["exit_code"] == 9
    assert europa.ps()[0]["name"] == vr.name
    assert not vr.cgroups() and not vr.pids()


def test_the_pid_file_has_process_1_and_goes_with_it(europa, box, image, tmp_path):
    pid_file = tmp_path / "pid"
    vr = box.start(image("/probe", "wait"), "--pid-file", pid_file)
    pid = int(pid_file.read_text())
    assert pid == vr.state()["init"]["pid"]
    assert re.search(r"^NSpid:\s+\d+\s+1$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    vr.kill("--time", "0")
    assert not pid_file.exists()


def test_a_pid_file_does_not_take_the_place_of_what_is_no_file(europa, box, image, tmp_path):
    """As --pid-file /dev/null and --pid-file /dev/stdout would have it."""
    fifo, link, directory = tmp_path / "fifo", tmp_path / "link", tmp_path / "directory"
    os.mkfifo(fifo)
    link.symlink_to(fifo)
    directory.mkdir()
    bundle = image("/probe", "wait")
    for path in (fifo, link, directory):
        done = box.run(bundle, "--pid-file", path)
        assert done.returncode == 125
        assert done.stderr == f'europa-run: pid file "{path}": expected a regular file, or none that is there\n'
    assert fifo.is_fifo() and link.is_symlink() and directory.is_dir()


def test_process_1_reaps_orphans(box, image):
    seen = box(image("/probe"), "orphan")
    assert {line.split()[0] for line in seen.splitlines() if line[0].isdigit()} == {"1", "2"}


@pytest.mark.parametrize("uid", [0, 1000])      # a change of uid disarms the signal
def test_a_supervisor_that_is_killed_takes_its_vr_along(europa, box, image, uid):
    vr = box.start(image("/probe", "wait", user={"uid": uid, "gid": uid}))
    state = vr.state()
    pids = vr.pids()
    assert len(pids) == 2 and state["init"]["pid"] in pids
    os.kill(state["supervisor"]["pid"], signal.SIGKILL)
    wait_for(lambda: not any(process_alive(pid) for pid in pids), "the VR to die")
    assert [row["status"] for row in europa.ps()] != ["running"]         # and ps sweeps
    vr.kill()
    assert vr.leftovers() == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
@pytest.mark.parametrize("detach", [(), ("--detach",)], ids=["foreground", "detached"])
def test_a_start_that_is_interrupted_at_any_moment(europa, box, image, detach, number):
    """What is left of it is swept by the next command; nothing of it runs on that its caller doesn't know of."""
    bundle = image("/probe")
    argv = europa.home.argv(*box.argv(bundle, "--vnics", "1", "--cpu", "25%", "--memory", "64M", *detach, args=("wait", box.vr.name)))

    def ours():
        return [pid for pid in processes() if box.vr.name in process_command(pid) and process_state(pid) not in "ZX"]

    for turn in range(24):
        child = subprocess.Popen(argv, env=europa.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                 text=True, start_new_session=True)
        threading.Event().wait(0.0012 * turn)
        child.send_signal(number)
        name = child.communicate(timeout=60)[0].strip()
        if detach and child.returncode == 0:
            assert name == box.vr.name
        elif number == signal.SIGINT:
            assert child.returncode != 0
            wait_for(lambda: not ours(), f"turn {turn}: the processes to end")
        europa("kill", "--time", "0", box.vr.name, check=False)
        wait_for(lambda: not box.vr.leftovers() and not ours(), f"turn {turn}: nothing to be left", timeout=20)


def test_every_namespace_is_the_vrs_own(box, image):
    vr = box.start(image("/probe", "wait"))
    pid = vr.state()["init"]["pid"]
    for kind in ("user", "pid", "net", "mnt", "ipc", "uts", "cgroup"):
        name = kind if kind != "pid" else "pid_for_children"
        assert os.readlink(f"/proc/{pid}/ns/{kind}") != os.readlink(f"/proc/self/ns/{name}"), kind


def test_two_vrs_have_no_uid_in_common(box, image):
    maps = []
    for vr in [box.start(image("/probe", "wait")) for _ in range(2)]:
        inside, outside, count = map(int, Path(f"/proc/{vr.state()['init']['pid']}/uid_map").read_text().split())
        assert (inside, count) == (0, 65536) and outside >= 1000000000
        maps.append(outside)
    assert abs(maps[0] - maps[1]) >= 65536


def test_the_hostname_is_the_images_or_the_vrs_name(box, image):
    vr = box.start(image("/probe", "wait"))
    assert box.exec(vr, "/probe", "cat", "/proc/sys/kernel/hostname").stdout == vr.name + "\n"


def test_exec_returns_the_commands_exit_status(box, image):
    vr = box.start(image("/probe", "wait", env=["PATH=/dev"]))
    assert box.exec(vr, "/probe", "exit", "5", check=False).returncode == 5
    assert box.exec(vr, "/probe", "kill", "9", check=False).returncode == 137
    assert box.exec(vr, "/nowhere", check=False).returncode == 127
    assert box.exec(vr, "", check=False).returncode == 127
    assert box.exec(vr, "/", check=False).returncode == 126
    assert box.exec(vr, "/probe", "echo", input="x", stdin=None).stdout == "x"


def test_exec_is_as_confined_as_the_program(box, image):
    vr = box.start(image("/probe", "wait"))
    init = vr.state()["init"]["pid"]
    inside = status_lines(box.exec(vr, "/probe", "cat", "/proc/self/status").stdout)
    program = next(pid for pid in vr.pids() if pid != init)
    theirs = status_lines(Path(f"/proc/{program}/status").read_text())
    for line in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Seccomp_filters"):
        assert inside[line] == theirs[line], line
    refused(box.exec(vr, "/probe", "attack-kernel").stdout)
    child = box.europa.popen("exec", vr.name, "/probe", "signal")
    assert child.stdout.readline() == "ready\n"
    assert len(vr.pids()) == 3              # in the VR's control group
    child.terminate()
    assert child.wait(30) == signal.SIGTERM


def test_exec_says_why_it_cannot(europa, box, image):
    done = europa("exec", "nobody", "/probe", check=False)
    assert done.returncode == 125 and "nobody" in done.stderr
    vr = box.start(image("/probe", "exit"))
    wait_for(lambda: vr.state()["status"] == "exited", "the end")
    done = box.exec(vr, "/probe", check=False)
    assert done.returncode == 125 and "not running" in done.stderr


# ---- what a VR sees ----

def test_the_root_is_read_only(box, image):
    bundle = image("/probe")
    (bundle / "rootfs" / "data").mkdir(mode=0o777)
    refused(box(bundle, "write", "/x", "/data/x", "/dev/x", "/probe", "/proc/sys/kernel/hostname", "/proc/sysrq-trigger"))
    refused(box(bundle, "write", "/tmp/x", "/dev/shm/x"), "/tmp/x", "/dev/shm/x")


def test_an_image_needs_no_mount_points(box, image):
    entries = dict(line.split(" ", 1) for line in box(image("/probe"), "list", "/").splitlines())
    assert entries == {"dev": "directory", "proc": "directory", "tmp": "directory", "probe": "file"}


def test_what_an_image_has_is_there(box, image):
    bundle = image("/probe")
    root = bundle / "rootfs"
    (root / "etc" / "deep").mkdir(parents=True)
    (root / "etc" / "deep" / "file").write_text("deep\n")
    (root / "link").symlink_to("etc/deep")
    os.mkfifo(root / "fifo")
    entries = dict(line.split(" ", 1) for line in box(bundle, "list", "/").splitlines())
    assert entries["etc"] == "directory" and entries["link"] == "link" and "fifo" not in entries
    assert box(bundle, "cat", "/link/file") == "deep\n"


def test_the_devices_are_the_few_that_do_no_harm(box, image):
    entries = dict(line.split(" ", 1) for line in box(image("/probe"), "list", "/dev").splitlines())
    assert entries == {
        "null": "other 1:3", "zero": "other 1:5", "full": "other 1:7", "random": "other 1:8", "urandom": "other 1:9",
        "tty": "other 5:0", "shm": "directory", "fd": "link", "stdin": "link", "stdout": "link", "stderr": "link",
    }


def test_proc_is_masked(box, image):
    mounts = box(image("/probe"), "cat", "/proc/self/mounts")
    points = {line.split()[1]: line.split()[3].split(",")[0] for line in mounts.splitlines()}
    for path in ("kcore", "keys", "timer_list", "kmsg"):
        if Path("/proc", path).exists():
            assert f"/proc/{path}" in points, path
    for path in ("sys", "bus", "fs", "irq", "sysrq-trigger"):
        if Path("/proc", path).exists():
            assert points[f"/proc/{path}"] == "ro", path
    assert "/sys" not in points


def test_nothing_of_the_host_is_mounted(box, image):
    mounts = box(image("/probe"), "cat", "/proc/self/mountinfo").splitlines()
    assert mounts
    for line in mounts:
        root, point = line.split()[3:5]
        if point in ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty") or point.startswith("/proc/"):
            continue
        assert root == "/" or root.endswith("/rootfs/probe"), line


def test_a_host_whose_mounts_are_shared_sees_none_of_the_vrs(box, image, tmp_path):
    """As systemd has them."""
    (tmp_path / "source").mkdir()
    script = 'cat /proc/self/mountinfo; "$@"; cat /proc/self/mountinfo'
    done = box.run(image("/probe"), "--mount", f"{tmp_path}/source:/a", args=("exit",),
                   wrapper=["unshare", "--mount", "--propagation", "shared", "sh", "-c", script, "sh"])
    assert done.returncode == 0 and "shared:" in done.stdout and not done.stderr
    lines = done.stdout.splitlines()
    assert lines[:len(lines) // 2] == lines[len(lines) // 2:]


def test_mounts_and_the_configuration_are_seen(box, image, tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").write_text("from the host\n")
    config = tmp_path / "config"
    config.write_text("routes\n")
    bundle = image("/probe")
    (bundle / "rootfs" / "etc").mkdir()
    (bundle / "rootfs" / "etc" / "own").write_text("own\n")
    options = ["--mount", f"{source}:/a/b/c", "--mount", f"{source}/file:/etc/file", "--config", config]
    assert box(bundle, "cat", "/a/b/c/file", "/etc/file", "/etc/europa/config", "/etc/own", options=options) == \
        "from the host\nfrom the host\nroutes\nown\n"
    source.chmod(0o777)
    refused(box(bundle, "write", "/a/b/c/new", "/etc/europa/config", options=options))
    box(bundle, "write", "/a/b/c/new", options=["--mount", f"{source}:/a/b/c:rw"])
    assert (source / "new").read_text() == "x"


@pytest.mark.parametrize("target", ["/proc/x", "/dev", "/tmp/x", "/sys", "/../x", "/a/../../x", "/"])
def test_a_mount_target_that_cannot_be_is_refused(box, image, tmp_path, target):
    done = box.run(image("/probe"), "--mount", f"{tmp_path}:{target}")
    assert done.returncode == 125 and "europa-run: " in done.stderr


def test_a_mount_target_through_an_images_link_is_refused(box, image, tmp_path):
    bundle = image("/probe")
    (bundle / "rootfs" / "link").symlink_to("/")
    done = box.run(bundle, "--mount", f"{tmp_path}:/link/x")
    assert done.returncode == 125 and "/link" in done.stderr


def test_a_configuration_that_the_vr_cannot_read_is_refused(box, image, tmp_path):
    config = tmp_path / "config"
    config.write_text("secret\n")
    config.chmod(0o600)
    done = box.run(image("/probe"), "--config", config)
    assert done.returncode == 125 and "chmod o+r" in done.stderr


# ---- what a VR must not be able to do ----

def test_host_binary_through_proc_self_exe(europa, box, image):
    """CVE-2019-5736: from inside, no path leads to the file that process 1, or whoever enters, is executed from."""
    programs = [BUILD / "bin" / name for name in ("europa", "europa-init")]
    before = [hashlib.sha256(path.read_bytes()).digest() for path in programs]
    vr = box.start(image("/probe", "wait", annotations={"io.europa.seccomp": "wide"}))
    refused(box.exec(vr, "/probe", "attack-init").stdout)
    exe = f"/proc/{vr.state()['init']['pid']}/exe"
    assert os.readlink(exe).startswith("/memfd:europa-init")
    with pytest.raises(OSError):
        with open(exe, "r+b", buffering=0) as file:
            file.write(b"x")
    # A program that is /proc/self/exe is what would be executed from the host's file.
    assert box.exec(vr, "/proc/self/exe", check=False).returncode in (125, 126)
    assert box.run(image("/proc/self/exe")).returncode in (125, 126)
    assert [hashlib.sha256(path.read_bytes()).digest() for path in programs] == before


def test_leaked_descriptors(europa, box, image):
    """CVE-2016-9962, CVE-2024-21626: 0, 1 and 2, and nothing that anybody else had open."""
    leaks = [os.open("/", os.O_RDONLY) for _ in range(5)]
    try:
        with subprocess.Popen(europa.home.argv(*box.argv(image("/probe", "descriptors"))), env=europa.env, pass_fds=leaks,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as child:
            lines = child.stdout.read().splitlines()
    finally:
        for fd in leaks:
            os.close(fd)
    assert [int(line.split()[0]) for line in lines] == [0, 1, 2]
    vr = box.start(image("/probe", "wait"))
    lines = box.exec(vr, "/probe", "descriptors").stdout.splitlines()
    assert [int(line.split()[0]) for line in lines] == [0, 1, 2]


def test_missing_stdio_is_not_somebody_elses(europa, box, image):
    """A closed 0, 1 or 2 must not become a descriptor of the runtime's in there."""
    argv = [str(word) for word in box.argv(image("/probe", "descriptors"), "--log-dir", "/tmp")]
    done = europa.home.run("sh", "-c", 'exec "$@" <&- 2>&-', "sh", *argv, env=europa.env)
    assert done.stdout.splitlines()[0] == "0 /dev/null" and done.stdout.splitlines()[2] == "2 /dev/null"


def test_working_directory_outside_the_root(box, image):
    """CVE-2024-21626: a working directory by way of a descriptor of the runtime's, or of process 1."""
    vr = box.start(image("/probe", "wait"))
    for cwd in [f"/proc/self/fd/{n}" for n in [*range(24), 100, 101, 102]] + ["/proc/1/cwd", "/proc/1/root", "/proc/1/fd/7"]:
        for done in (box.run(image("/probe", "list", ".", cwd=cwd)),
                     box.europa("exec", "--workdir", cwd, vr.name, "/probe", "list", ".", check=False)):
            if done.returncode == 0:    # as "/proc/1/root", of process 1 itself
                assert {line.split(" ")[0] for line in done.stdout.splitlines()} == {"dev", "proc", "tmp", "probe"}, cwd
            else:
                assert done.returncode == 125 and "working directory" in done.stderr, f"{cwd}: {done.stderr}"


@pytest.mark.parametrize("name", ["dev", "proc", "sys", "tmp"])
@pytest.mark.parametrize("kind", ["link to the host", "link inside", "file"])
def test_dev_proc_or_sys_that_is_no_directory(box, image, tmp_path, name, kind):
    """CVE-2019-19921, CVE-2023-27561, CVE-2026-41579: nothing is made where such a link leads."""
    bundle = image("/probe")
    host = tmp_path / "host"
    host.mkdir(mode=0o777)
    place = bundle / "rootfs" / name
    if kind == "file":
        place.write_text("")
    else:
        place.symlink_to(host if kind == "link to the host" else "probe")
    done = box.run(bundle)
    assert done.returncode == 125 and f'"/{name}" is not a directory' in done.stderr
    assert list(host.iterdir()) == []


def test_planted_device_nodes(box, image, tmp_path):
    """CVE-2025-31133, CVE-2025-52565: what an image has in /dev is neither used nor written to."""
    bundle = image("/probe")
    secret = tmp_path / "secret"
    secret.write_text("untouched")
    secret.chmod(0o666)
    dev = bundle / "rootfs" / "dev"
    dev.mkdir()
    (dev / "null").symlink_to(secret)
    (dev / "console").symlink_to(secret)
    (dev / "zero").write_text("planted")
    os.mknod(dev / "mem", 0o20666, os.makedev(1, 1))
    entries = dict(line.split(" ", 1) for line in box(bundle, "list", "/dev").splitlines())
    assert entries["null"] == "other 1:3" and entries["zero"] == "other 1:5"
    assert "mem" not in entries and "console" not in entries
    assert secret.read_text() == "untouched"


def test_redirected_procfs_writes(europa, box, image):
    """CVE-2019-16884, CVE-2025-52881: what looks like /proc and isn't gets no write of the runtime's."""
    bundle = image("/probe")
    planted = bundle / "rootfs" / "proc" / "self" / "attr"
    planted.mkdir(parents=True)
    (planted / "exec").write_text("planted")
    assert box(bundle, "cat", "/proc/self/comm") == "probe\n"
    # And where the host's own isn't one.
    done = box.run(bundle, env=dict(europa.env, ASAN_OPTIONS="detect_leaks=0"),
                   wrapper=["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /proc && exec "$@"', "sh"])
    assert done.returncode == 125 and done.stderr.startswith("europa-run: ")


def test_symlink_exchange_race(box, image, tmp_path):
    """CVE-2021-30465, CVE-2024-45310: a directory of the image that is exchanged with a link while it is mounted."""
    bundle = image("/probe")
    root = bundle / "rootfs"
    (root / "a").mkdir()
    (root / "a" / "inside").write_text("")
    (root / "b").symlink_to("/")
    host = {entry.name for entry in Path("/").iterdir()} - {"proc", "dev", "tmp", "probe", "a", "b"}
    stop = threading.Event()

    def exchange():
        while not stop.is_set():
            libc.syscall(316, -100, bytes(root / "a"), -100, bytes(root / "b"), 2)      # renameat2, RENAME_EXCHANGE

    racer = threading.Thread(target=exchange)
    racer.start()
    started = 0
    try:
        for _ in range(30):
            options = ["--mount", f"{tmp_path}:/a/target"] if started % 2 else []
            done = box.run(bundle, *options, args=("list", "/a/", "/b/"))
            if done.returncode == 0:
                started += 1
                assert not host & {line.split(" ")[0] for line in done.stdout.splitlines()}
            else:
                assert done.returncode == 125
    finally:
        stop.set()
        racer.join()
    assert started


@pytest.mark.parametrize("user", ["1:", ":1", "4294967296", "-1", "01", "", "4294967295", "65536", "0:65536", "root", "1 ", "0x0"])
def test_user_that_is_no_number(europa, box, image, user):
    """CVE-2026-30892: what isn't a user is refused, and never root."""
    vr = box.start(image("/probe", "wait"))
    done = europa("exec", f"--user={user}", vr.name, "/probe", "exit", check=False)
    assert done.returncode == 125 and f'"{user}"' in done.stderr


def test_a_user_is_what_was_asked_for(europa, box, image):
    bundle = image("/probe", "cat", "/proc/self/status", user={"uid": 1000, "gid": 7})
    lines = status_lines(box.run(bundle).stdout)
    assert lines["Uid"].split() == ["1000"] * 4 and lines["Gid"].split() == ["7"] * 4 and lines["Groups"].strip() == ""
    vr = box.start(image("/probe", "wait"))
    lines = status_lines(europa("exec", "--user", "1", vr.name, "/probe", "cat", "/proc/self/status").stdout)
    assert lines["Uid"].split() == ["1"] * 4 and lines["Gid"].split() == ["1"] * 4


def test_supplementary_groups_are_the_images(europa, box, image):
    """And not the user's who is chosen instead."""
    vr = box.start(image("/probe", "wait", user={"uid": 1000, "gid": 7, "additionalGids": [20, 65535]}))

    def groups(*options):
        return status_lines(europa("exec", *options, vr.name, "/probe", "cat", "/proc/self/status").stdout)["Groups"].split()
    assert groups() == ["20", "65535"]
    assert groups("--user", "1") == []
    base = vr.state()["uid_base"]
    (program,) = [pid for pid in vr.pids() if pid != vr.state()["init"]["pid"]]
    assert status_lines(Path(f"/proc/{program}/status").read_text())["Groups"].split() == [str(base + 20), str(base + 65535)]


def resource_limits(text):
    """{name: (soft, hard)} of /proc/PID/limits."""
    return {line[:26].strip(): tuple(line[26:].split()[:2]) for line in text.splitlines()[1:]}


def test_resource_limits_are_the_images(europa, box, image):
    """Those of the program, and of whoever enters, not of process 1."""
    bundle = image("/probe", "wait", rlimits=[{"type": "RLIMIT_NOFILE", "soft": 123, "hard": 1500}, {"type": "RLIMIT_CORE", "soft": 0, "hard": 7},
                                              {"type": "RLIMIT_DATA", "soft": 1 << 30, "hard": (1 << 64) - 1}])
    vr = box.start(bundle, wrapper=["prlimit", "--nofile=2000:2000"])
    (program,) = [pid for pid in vr.pids() if pid != vr.state()["init"]["pid"]]
    for text in (Path(f"/proc/{program}/limits").read_text(), europa("exec", vr.name, "/probe", "cat", "/proc/self/limits").stdout):
        limits = resource_limits(text)
        assert limits["Max open files"] == ("123", "1500") and limits["Max core file size"] == ("0", "7")
        assert limits["Max data size"] == (str(1 << 30), "unlimited")
    assert resource_limits(Path(f"/proc/{vr.state()['init']['pid']}/limits").read_text())["Max open files"][0] == "2000"


MAY_RAISE = int(status_lines(Path("/proc/self/status").read_text())["CapEff"], 16) & 1 << 24


@pytest.mark.skipif(not MAY_RAISE, reason="wants CAP_SYS_RESOURCE")
def test_resource_limits_may_be_more_than_the_callers(europa, box, image):
    less = ["prlimit", "--nofile=2000:2000"]
    vr = box.start(image("/probe", "wait", rlimits=[{"type": "RLIMIT_NOFILE", "soft": 2500, "hard": 3000}]), wrapper=less)
    done = europa.home.run(*less, BUILD / "bin" / "europa-exec", vr.name, "/probe", "cat", "/proc/self/limits", env=europa.env)
    (program,) = [pid for pid in vr.pids() if pid != vr.state()["init"]["pid"]]
    for text in (Path(f"/proc/{program}/limits").read_text(), done.stdout):
        assert resource_limits(text)["Max open files"] == ("2500", "3000")


def test_a_resource_limit_that_cannot_be_had_is_named(box, image):
    done = box.run(image("/probe", "exit", "0", rlimits=[{"type": "RLIMIT_NOFILE", "soft": 1, "hard": (1 << 64) - 1}]), check=False)
    assert done.returncode == 125
    assert done.stderr == "europa-run: cannot set the image's resource limit RLIMIT_NOFILE to unlimited: Operation not permitted\n"


def test_inheritable_capabilities(europa, box, image):
    """CVE-2022-27650: all five sets have what the image and the policy grant, and no more; inheritable and ambient nothing."""
    lines = status_lines(box(image("/probe"), "cat", "/proc/self/status"))
    for line in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(lines[line], 16) == 0, line
    wanted = ["CAP_NET_ADMIN", "CAP_SYS_ADMIN", "CAP_SYS_PTRACE", "CAP_MKNOD", "CAP_NET_RAW"]
    capabilities = dict.fromkeys(("bounding", "permitted", "effective", "inheritable", "ambient"), wanted)
    lines = status_lines(box(image("/probe", capabilities=capabilities), "cat", "/proc/self/status"))
    for line, caps in {"CapInh": 0, "CapPrm": 0x3000, "CapEff": 0x3000, "CapBnd": 0x3000, "CapAmb": 0}.items():
        assert int(lines[line], 16) == caps, line
    lines = status_lines(box(image("/probe", capabilities=capabilities, user={"uid": 1, "gid": 1}), "cat", "/proc/self/status"))
    assert int(lines["CapEff"], 16) == int(lines["CapInh"], 16) == int(lines["CapAmb"], 16) == 0
    # Whatever the caller's own inheritable set is.
    done = box.run(image("/probe", "cat", "/proc/self/status"), wrapper=["capsh", "--inh=cap_net_raw,cap_chown", "--", "-c", '"$@"', "sh"])
    assert int(status_lines(done.stdout)["CapInh"], 16) == 0


def test_no_new_privileges(box, image):
    lines = status_lines(box(image("/probe"), "cat", "/proc/self/status"))
    assert lines["NoNewPrivs"].strip() == "1" and lines["Seccomp"].strip() == "2"


def test_terminal_injection(europa, box, image):
    """CVE-2017-5226, CVE-2019-10063: no characters into the caller's terminal, whatever stands above the request's 32 bits."""
    pid, master = pty.fork()
    if pid == 0:
        argv = [str(word) for word in box.argv(image("/probe", "attack-terminal"))]
        os.execvpe("nsenter", ["nsenter", f"--net={europa.home.path}", "--", *argv], europa.env)
    text = b""
    try:
        while chunk := os.read(master, 4096):
            text += chunk
    except OSError:
        pass                    # the other side is closed
    os.close(master)
    assert os.waitpid(pid, 0)[1] == 0, text
    said = results(text.decode().replace("\r", ""))
    assert [result for attempt, result in said if attempt == "inject"] == ["Operation not permitted"] * 4
    assert dict(said)["open /dev/tty"] != "ok"


def test_tracing_a_helper_on_its_way_in(europa, box, image):
    """CVE-2016-8659, CVE-2026-41163: root of the VR sees nothing of whoever enters it, before it is as confined as he is."""
    vr = box.start(image("/probe", "spy", annotations={"io.europa.seccomp": "wide"}))
    wait_for(lambda: "ready" in europa("logs", vr.name).stdout, "the spy")
    for _ in range(40):
        box.exec(vr, "/probe", "nap")
    box.exec(vr, "/probe", "write", "/tmp/stop")
    seen = wait_for(lambda: (text := box.exec(vr, "/probe", "cat", "/tmp/seen").stdout).endswith("end\n") and text, "the spy's report")
    assert {line for line in seen.splitlines()} <= {"end", "exe /probe", "mem /probe"}, seen


def test_pid_reuse(europa, box, image):
    """A number that another process has now is not the process that had it."""
    vr = box.start(image("/probe", "exit"))
    wait_for(lambda: vr.state()["status"] == "exited", "the end")
    bystander = subprocess.Popen(["sleep", "1000"])
    try:
        path = europa.run_dir / vr.name / "state.json"
        state = json.loads(path.read_text())
        state.update(status="running", init={"pid": bystander.pid, "start_time": 1},
                     supervisor={"pid": bystander.pid, "start_time": 1})
        path.write_text(json.dumps(state))
        vr.kill("--time", "0")
        assert bystander.poll() is None and process_state(bystander.pid) != "Z"
    finally:
        bystander.kill()
        bystander.wait()
    assert (europa.run_dir.stat().st_mode & 0o777) == 0o700


def test_control_group_from_inside(europa, box, image):
    """Its own group is all it sees, and it can't change it; nobody enters a frozen one, and the way out is found again."""
    vr = box.start(image("/probe", "wait", annotations={"io.europa.seccomp": "wide"}), "--pids", "20")
    assert all(line.endswith(":/") or "europa" not in line
               for line in box.exec(vr, "/probe", "cat", "/proc/self/cgroup").stdout.splitlines())
    assert not [line for line in box.exec(vr, "/probe", "cat", "/proc/self/mounts").stdout.splitlines() if "cgroup" in line.split()[2]]
    freezers = [Path(group) / name for group in vr.cgroups() for name in ("freezer.state", "cgroup.freeze") if (Path(group) / name).exists()]
    if not freezers:
        pytest.skip("no freezer in any hierarchy")
    frozen, thawed = ("FROZEN", "THAWED") if freezers[0].name == "freezer.state" else ("1", "0")
    freezers[0].write_text(frozen)
    try:
        wait_for(lambda: frozen in freezers[0].read_text(), "the group to freeze")
        done = box.exec(vr, "/probe", "exit", check=False)
        assert done.returncode == 125 and re.search("frozen|paused", done.stderr)
    finally:
        freezers[0].write_text(thawed)
    assert box.exec(vr, "/probe", "exit").returncode == 0


def test_the_pool_gives_no_more_than_it_is(europa, box, image):
    """Sealed against resizing, and what the switch alone may write stays so: not by mmap, mprotect, write or /proc/self/fd."""
    said = box(image("/probe"), "attack-region", options=["--vnics", "1"])
    # A hole in its own pool is no more than zeroes that it may write there.
    refused(said, "map control to read", "map pool to write", "punch pool")


def test_a_region_is_handed_over_as_five_descriptors(europa, box, image):
    lines = box(image("/probe"), "descriptors", options=["--vnics", "1"]).splitlines()
    assert [int(line.split()[0]) for line in lines] == list(range(8))
    environment = box(image("/probe"), "cat", "/proc/self/environ", options=["--vnics", "1"]).split("\0")
    assert "LISTEN_FDS=5" in environment and "LISTEN_PID=2" in environment
    assert "LISTEN_FDNAMES=europa.control:europa.pool:europa.doorbell:europa.kick:europa.state" in environment
    assert not [entry for entry in box(image("/probe"), "cat", "/proc/self/environ").split("\0") if entry.startswith("LISTEN")]


def test_the_kernels_doors_are_shut(box, image):
    refused(box(image("/probe"), "attack-kernel"))


@pytest.mark.parametrize("missing", ["openat2", "close_range", "pidfd_open", "mount_setattr", "clone3",
                                     "openat2 close_range pidfd_open mount_setattr clone3"])
def test_fallbacks(box, image, tmp_path, missing):
    """On a kernel that has not all of this, a VR is confined all the same."""
    wrapper = [PROBE, "without", *missing.split(), "--"]
    source = tmp_path / "source"
    source.mkdir(mode=0o777)
    bundle = image("/probe")
    (bundle / "rootfs" / "data").mkdir(mode=0o777)
    options = ["--mount", f"{source}:/mnt"]
    refused(box(bundle, "write", "/x", "/data/x", "/probe", "/mnt/x", "/proc/sys/kernel/hostname", options=options, wrapper=wrapper))
    assert [line.split()[0] for line in box(bundle, "descriptors", wrapper=wrapper).splitlines()] == ["0", "1", "2"]
    mounts = box(bundle, "cat", "/proc/self/mounts", options=options, wrapper=wrapper)
    for line in mounts.splitlines():
        flags = line.split()[3].split(",")
        assert "nosuid" in flags, line
        if line.split()[1] in ("/", "/data", "/probe", "/mnt"):
            assert "ro" in flags and "nodev" in flags, line
    assert box.run(image("/nowhere"), wrapper=wrapper).returncode == 127


# ---- every step undone ----

FAULTS = ROOT / "build" / "faults"


@pytest.fixture(scope="module")
def faults():
    """The build that fails where it is told to."""
    programs = [f"build/faults/bin/{name}" for name in ("europa", "europa-init", "europad", "europa-run")]
    done = command("make", "-C", ROOT, "FAULTS=1", *programs, check=False, timeout=900)
    if done.returncode:
        pytest.fail(f"make FAULTS=1: {done.stderr}")
    steps = command(FAULTS / "bin" / "europa-run", env=dict(os.environ, EUROPA_FAULT="list")).stdout.split()
    assert len(steps) > 30 and len(set(steps)) == len(steps)
    return steps


@pytest.mark.parametrize("detach", [(), ("--detach",)], ids=["foreground", "detached"])
@pytest.mark.parametrize("vnics", [0, 2])
def test_a_step_that_fails_leaves_nothing(europa, box, image, faults, tmp_path, vnics, detach):
    """All steps, one after the other: the message names the step, and the VR has never been."""
    bundle = image("/probe")
    options = ["--vnics", str(vnics), "--cpu", "25%", "--memory", "64M", "--pids", "20", "--pid-file", tmp_path / "pid", *detach]

    def left():
        mounts = [line for line in Path("/proc/self/mounts").read_text().splitlines() if str(tmp_path) in line or box.vr.name in line]
        running = [pid for pid in processes() if box.vr.name in process_command(pid) and process_state(pid) not in "ZX"]
        files = [path for path in europa.run_dir.iterdir() if not path.name.startswith(("switch.", ".lock", "netns"))]
        return box.vr.leftovers() + mounts + running + files + list(tmp_path.glob("pid*")) + list(europa.home.devices().keys() - {"lo"})

    for step in faults:
        done = box.run(bundle, *options, args=("wait", box.vr.name), build=FAULTS, env=dict(europa.env, EUROPA_FAULT=step))
        assert f'fault injected at step "{step}"' in done.stderr and len(done.stderr.splitlines()) == 1, f"{step}: {done.stderr}"
        assert done.returncode == (126 if step == "exec" else 125), step
        assert done.stdout == "", step
        # What the kernel ends by itself may take a moment: devices of a switch that has been let go.
        wait_for(lambda: not left(), f"nothing to be left after {step}", timeout=10)


def test_a_name_in_use_is_not_taken_from_its_owner(europa, box, image):
    vr = box.start(image("/probe", "wait"))
    done = europa("run", "--name", vr.name, image("/probe"), check=False)
    assert done.returncode == 125 and vr.name in done.stderr
    assert vr.state()["status"] == "running" and all(process_alive(pid) for pid in vr.pids()) and vr.pids()


if __name__ == "__main__":
    sys.exit(pytest.main([__file__, *sys.argv[1:]]))
