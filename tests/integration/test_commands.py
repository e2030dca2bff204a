# SPDX-License-Identifier: MIT
"""
The command line: what every command says about itself, what it refuses and how, and what it does to virtual routers that
run, have exited, were killed, or have a damaged state.
"""
import datetime
import json
import os
import re
import shutil
import signal
import struct
import subprocess

import pytest

from conftest import BUILD, IMAGES, ROOT, command, wait_for

COMMANDS = ["run", "ps", "kill", "stat", "exec", "logs", "update", "inspect", "checkpoint", "restore"]
OWN_ERROR = {"run": 125, "exec": 125, "restore": 125}
BIN = BUILD / "bin"
COMPLETION = ROOT / "docs/completion/europa"


def failed(europa, *argv, status=None):
    """The one line that a command fails with."""
    done = europa(*argv, check=False)
    assert done.returncode == (OWN_ERROR.get(argv[0], 1) if status is None else status), done.stderr
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith(f"europa-{argv[0]}: ")
    return lines[0].split(": ", 1)[1]


def long_options(name):
    """The options that the binary's own table has."""
    done = command(BIN / "europa", "__complete", 1, f"europa-{name}", "--")
    return set(done.stdout.split())


def state_dir(europa, vr):
    return europa.run_dir / vr.name


# ---- what a command says about itself ----

@pytest.mark.parametrize("name", COMMANDS)
def test_help_names_every_option_and_has_an_example(name):
    for argv in ([BIN / f"europa-{name}", "--help"], [BIN / "europa", name, "-h"], [BIN / "europa", "help", name]):
        text = command(*argv).stdout
        assert text.startswith(f"usage: europa-{name} ")
        assert f"  europa-{name}" in text.split("examples:")[1]
    shown = set(re.findall(r"--[a-z-]+", text.split("options:")[1].split("examples:")[0]))
    # Second spellings are understood, but not shown.
    assert long_options(name) - shown <= {"--cpuset-cpus", "--pids-limit"}


@pytest.mark.parametrize("name", COMMANDS)
def test_version_is_the_same_everywhere(name):
    version = command(BIN / "europa", "--version").stdout.split()[1]
    assert command(BIN / f"europa-{name}", "--version").stdout == f"europa-{name} {version}\n"


def test_europa_alone_lists_its_commands():
    done = command(BIN / "europa", check=False)
    assert done.returncode == 1
    for name in COMMANDS:
        assert f"\n  {name} " in done.stderr
    assert command(BIN / "europa", "--help").stdout == done.stderr


def test_an_unknown_command_is_told_what_there_is():
    done = command(BIN / "europa", "frobnicate", check=False)
    assert done.returncode == 1
    assert done.stderr == f"europa: unknown command \"frobnicate\": expected one of {', '.join(COMMANDS)}\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_the_manual_page_has_the_options_of_the_table(name):
    page = (ROOT / f"docs/man/europa-{name}.1").read_text()
    described = {f"--{option}" for option in re.findall(r"^\.It.*", page, re.M) for option in re.findall(r"Fl -([a-z-]+)", option)}
    assert described == long_options(name) - {"--help", "--version"}
    assert ".Sh EXIT STATUS" in page and ".Sh EXAMPLES" in page


def test_ipfwds_manual_page_has_its_options_and_statements():
    page = (ROOT / "docs/man/ipfwd.8").read_text()
    items = re.findall(r"^\.It (.*)", page, re.M)
    told = command(IMAGES / "ipfwd" / "rootfs" / "bin" / "ipfwd", "--help").stdout
    statements = [line.split() for line in told.partition("\n\n")[2].partition("\n\n")[0].splitlines()]
    assert {item.split()[1] for item in items if item.startswith("Cm")} == {words[0] for words in statements}
    assert sum(item.startswith("Cm") for item in items) == len(statements) >= 9
    assert {option for item in items for option in re.findall(r"Fl -([a-z-]+)", item)} == \
        set(re.findall(r"^  -., --([a-z]+)", told, re.M)) - {"help", "version"}


@pytest.mark.parametrize("page", sorted(p.name for p in (ROOT / "docs/man").glob("*.[1-9]")))
def test_the_manual_page_has_no_warnings(page):
    done = command("man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", ROOT / "docs/man" / page,
                   env=dict(os.environ, LC_ALL="C.UTF-8", MANWIDTH="100", MANROFFSEQ=""))
    assert done.stderr == ""


# ---- completion ----

def complete(line, env=None, cwd=ROOT):
    """What bash offers at the end of the line, which it splits as readline does."""
    script = r'''
        source /usr/share/bash-completion/bash_completion && source "$1" || exit 1
        COMP_LINE=$2 COMP_POINT=${#2}
        read -ra COMP_WORDS <<<"$(sed 's/[=:]/ & /g' <<<"$COMP_LINE")"
        [[ $COMP_LINE == *" " ]] && COMP_WORDS+=("")
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        $(complete -p "${COMP_WORDS[0]##*/}" | sed 's/.*-F \([^ ]*\).*/\1/')
        printf '%s\n' "${COMPREPLY[@]}"
    '''
    env = dict(env or os.environ, PATH=f"{BIN}:{os.environ['PATH']}")
    return command("bash", "-c", script, "bash", COMPLETION, line, env=env, cwd=cwd).stdout.split()


@pytest.mark.parametrize("line, offered", [
    ("europa ", {*COMMANDS, "help", "--help", "--version"}),
    ("europa help ", set(COMMANDS)),
    ("europa --help re", {"restore"}),
    ("europa help run ", set()),
    ("europa up", {"update"}),
    ("europa run --cpus", {"--cpus", "--cpuset", "--cpuset-cpus"}),
    ("europa-run --switch ", {"auto", "kmod", "user"}),
    ("europa-run --switch k", {"kmod"}),
    ("europa-run --switch=u", {"user"}),
    ("europa-run --cpu ", set()),
    ("europa-ps --format ", {"table", "json"}),
    ("europa-kill -s K", {"KILL"}),
    ("europa-run --config /etc/hostn", {"/etc/hostname"}),
    ("europa-run --config=/etc/hostn", {"/etc/hostname"}),
    ("europa-run --name x image/ipf", {"image/ipfwd"}),
])
def test_bash_completes(line, offered):
    assert set(complete(line)) == offered


@pytest.mark.parametrize("name", COMMANDS)
def test_bash_completes_the_options_of_every_command(name):
    assert set(complete(f"europa-{name} --")) == long_options(name)


# ---- usage errors ----

NAMELESS = ["kill", "exec", "logs", "update", "inspect", "checkpoint", "restore"]


@pytest.mark.parametrize("name", COMMANDS)
def test_an_unknown_option_is_refused(europa, name):
    assert failed(europa, name, "--frobnicate") == 'unknown option "--frobnicate": --help lists them'
    assert failed(europa, name, "-Z") == 'unknown option "-Z": --help lists them'


@pytest.mark.parametrize("name", NAMELESS)
def test_a_name_is_asked_for(europa, name):
    assert failed(europa, name).startswith("expected ")


@pytest.mark.parametrize("argv", [
    ["kill", "nobody"], ["stat", "nobody"], ["logs", "nobody"], ["update", "--cpu", "5%", "nobody"], ["inspect", "nobody"],
    ["exec", "nobody", "/bin/true"], ["kill", "-s", "HUP", "nobody"],
])
def test_a_missing_vr_is_named(europa, argv):
    done = europa(*argv, check=False)
    assert done.returncode == OWN_ERROR.get(argv[0], 1)
    assert done.stderr == f'europa-{argv[0]}: no virtual router named "nobody" (europa-ps -a lists them)\n'


@pytest.mark.parametrize("argv, message", [
    (["ps", "x"], 'unexpected argument "x": --help shows what is understood'),
    (["ps", "--format", "xml"], '--format "xml": expected table or json'),
    (["ps", "-q", "--format", "json"], "--quiet: expected no --format json beside it, which prints more than names"),
    (["ps", "--format"], "--format: expected FORMAT after it"),
    (["kill", "-s", "FOO", "x"], '-s "FOO": expected a signal, as in 15, TERM or SIGTERM'),
    (["kill", "-s", "0", "x"], '-s "0": expected a signal, as in 15, TERM or SIGTERM'),
    (["kill", "--time", "-1", "x"], '--time "-1": expected seconds from 0 to 86400'),
    (["kill", "--all", "x"], "--all: expected no names beside it"),
    (["kill", "../x"], 'name "../x": expected letters, digits, _ + - and, not first, a dot; at most 63 in all'),
    (["kill", "netns"], 'name "netns": is taken by Europa itself, expected another one'),
    (["stat", "--watch=x"], '--watch "x": expected seconds from 0.1 to 1024, as in 2 or 0.5'),
    (["stat", "--watch", "0"], '--watch "0": expected seconds from 0.1 to 1024, as in 2 or 0.5'),
    (["stat", "--format", "csv"], '--format "csv": expected table or json'),
    (["logs", "a", "b"], 'unexpected argument "b": --help shows what is understood'),
    (["logs", "--tail", "x", "a"], '--tail "x": expected a number of lines, or all'),
    (["update", "x"], "expected a limit to change, as in --cpu 50%"),
    (["update", "--cpu", "lots", "x"], '--cpu "lots": expected a percentage of one CPU, as in 25% or 150%'),
    (["update", "--cpuset", "unlimited", "x"], '--cpuset "unlimited": expected a list of CPUs in ascending order, as in 0-3,5'),
    (["update", "--memory", "1", "x"], '--memory "1": expected a size of 1M or more, as in 64M or 1G, or unlimited'),
    (["update", "--pids", "0", "x"], '--pids "0": expected a number from 1 to 4194304, or unlimited'),
    (["run", "--cpu", "abc", "image/ipfwd"], '--cpu "abc": expected a percentage of one CPU, as in 25% or 150%'),
    (["run", "--link", "0=eth0,vlan 5000", "image/ipfwd"], '--link "0=eth0,vlan 5000": expected vlan and a number from 1 to 4094'),
    (["run", "--pool", "1", "image/ipfwd"], '--pool "1": expected a number from 2 to 1048576'),
    (["run"], "expected an image, as in europa-run --cpu 25% --vnics 2 image/ipfwd"),
    (["run", "--name", "a\nb", "image/ipfwd"], '--name "a\\x0ab": expected letters, digits, _ + - and, not first, a dot; at most 63 in all'),
])
def test_a_bad_value_is_quoted_with_what_would_be_right(europa, argv, message):
    assert failed(europa, *argv) == message


@pytest.mark.parametrize("argv", [("--version",), ("ps",), ("ps", "--format", "json"), ("stat",), ("run", "--help")])
def test_output_that_could_not_be_written_is_an_error(europa, argv):
    for where in ("/dev/full", "&-"):
        done = europa.home.run("sh", "-c", f'exec "$@" >{where}', "sh", BIN / "europa", *argv, env=europa.env, check=False)
        assert done.returncode == 1
        assert re.fullmatch(r"europa: cannot write to standard output: .*\n", done.stderr), done.stderr


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_what_europad_could_not_write_is_an_error(europa, option):
    for where in ("/dev/full", "&-"):
        done = europa.home.run("sh", "-c", f'exec "$@" >{where}', "sh", BIN / "europad", option, env=europa.env, check=False)
        assert done.returncode == 125
        assert re.fullmatch(r"europad: cannot write to standard output: .*\n", done.stderr), done.stderr


def test_a_vr_whose_name_nobody_was_told_is_not(europa):
    name = europa.name()
    done = europa.home.run("sh", "-c", 'exec "$@" >/dev/full', "sh", BIN / "europa-run", "-d", "--name", name, *europa.switch(),
                           IMAGES / "nullfwd", env=europa.env, check=False)
    assert done.returncode == 125
    assert done.stderr == f'europa-run: cannot print the name "{name}": No space left on device\n'
    assert europa.ps() == []


def test_a_reader_that_has_gone_is_no_error(europa):
    there, here = os.pipe()
    os.close(there)
    with open(here, "w") as nobody:
        done = europa.home.popen(BIN / "europa-ps", env=europa.env, stdout=nobody, stderr=subprocess.PIPE, restore_signals=False)
        assert done.communicate()[1] == "" and done.returncode == 0
        name = europa.name()
        done = europa.home.popen(BIN / "europa-run", "-d", "--name", name, *europa.switch(), IMAGES / "nullfwd", env=europa.env,
                                 stdout=nobody, stderr=subprocess.PIPE)
        assert done.communicate()[1] == "" and done.returncode == 0
    assert [vr["name"] for vr in europa.ps()] == [name]
    europa("kill", name)


def test_what_is_no_utf8_is_quoted(europa, tmp_path):
    image = tmp_path / os.fsdecode(b"image\xff")
    image.symlink_to(IMAGES / "nullfwd")
    assert failed(europa, "run", "--detach", image) == f'"{tmp_path}/image\\xff": expected UTF-8'
    assert failed(europa, "run", "--detach", IMAGES / "nullfwd", os.fsdecode(b"a\xffb")) == '"/bin/nullfwd a\\xffb": expected UTF-8'
    assert europa("ps", "-aq").stdout == ""


def test_only_root_makes_a_vr(europa):
    done = europa.home.run("setpriv", "--reuid", 65534, "--regid", 65534, "--clear-groups", BIN / "europa-run", IMAGES / "nullfwd",
                           env=europa.env, check=False)
    assert done.returncode == 125
    assert done.stderr == "europa-run: only root can make a virtual router\n"


@pytest.mark.parametrize("program, status", [("europa-ps", 1), ("europad", 125)])
def test_a_run_directory_of_others_is_refused(europa, tmp_path, program, status):
    link = tmp_path / "link"
    link.symlink_to(europa.run_dir)
    tmp_path.chmod(0o755)
    for path, message in [(tmp_path, f'run directory "{tmp_path}": expected mode 0700, not 0755'),
                          (link, f'run directory "{link}": expected a directory'),
                          ("run", 'EUROPA_RUN_DIR "run": expected an absolute path')]:
        done = europa.home.run(BIN / program, env=dict(europa.env, EUROPA_RUN_DIR=str(path)), check=False)
        assert (done.returncode, done.stderr) == (status, f"{program}: {message}\n")


# ---- ps ----

def test_ps_of_nothing_is_a_header_or_an_empty_array(europa):
    assert europa("ps").stdout.split() == ["NAME", "IMAGE", "STATUS", "CPU", "SWITCH", "VNICS", "PID"]
    assert europa("ps", "-q").stdout == ""
    assert json.loads(europa("ps", "--format", "json").stdout) == []


def test_ps_shows_what_runs(europa):
    vr = europa.start("nullfwd", "--cpu", "12.5%", "--vnics", 1)
    row = europa("ps", "--no-trunc").stdout.splitlines()[1]
    assert re.fullmatch(rf"{vr.name} +{re.escape(str(IMAGES))}/nullfwd +Up .*12\.5% +\w+ +1 +\d+", row)
    assert europa("ps", "-q").stdout == f"{vr.name}\n"
    entry, = europa.ps()
    assert entry["name"] == vr.name and entry["status"] == "running" and entry["cpu_percent"] == 12.5
    assert entry["finished"] is None and entry["exit_code"] is None
    started = datetime.datetime.fromisoformat(entry["started"][:26] + "+00:00")
    assert abs((datetime.datetime.now(datetime.timezone.utc) - started).total_seconds()) < 300
    assert entry["started"].endswith("Z")
    europa("kill", vr.name)
    assert europa.ps() == []


def test_ps_lists_the_others_where_a_state_is_torn(europa):
    good, torn = europa.start("nullfwd"), europa.start("nullfwd")
    path = state_dir(europa, torn) / "state.json"
    whole = path.read_text()
    path.write_text(whole[:len(whole) // 2])
    done = europa("ps", "-q", check=False)
    assert done.returncode == 1
    assert done.stdout == f"{good.name}\n"
    assert done.stderr.startswith(f'europa-ps: "{path}": line ')
    assert len(done.stderr.splitlines()) == 1
    # Its name is enough to end it.
    assert europa("kill", torn.name).stdout == f"{torn.name}\n"
    wait_for(lambda: not torn.leftovers(), "nothing of it to be left")
    assert europa("ps", "-q").stdout == f"{good.name}\n"


# ---- kill ----

def test_kill_leaves_nothing(europa):
    vrs = [europa.start("nullfwd", "--vnics", 2) for _ in range(3)]
    assert europa("kill", *(vr.name for vr in vrs)).stdout.split() == [vr.name for vr in vrs]
    for vr in vrs:
        assert vr.leftovers() == []
    assert europa.ps() == []


def test_kill_says_how_a_vr_ends_whose_directory_was_removed(europa):
    vr = europa.start("nullfwd")
    pid = supervisor(europa, vr)
    shutil.rmtree(state_dir(europa, vr))
    assert failed(europa, "kill", vr.name) == (
        f'no virtual router named "{vr.name}" in this run directory, but the control group "europa/{vr.name}": it is another EUROPA_RUN_DIR\'s, '
        "or its directory was removed; TERM to its supervisor, the parent of the europa-init in that group, ends it")
    os.kill(pid, signal.SIGTERM)
    wait_for(lambda: not vr.leftovers(), "nothing of it to be left")


def test_kill_goes_on_after_one_that_is_missing(europa):
    vr = europa.start("nullfwd")
    done = europa("kill", "nobody", vr.name, check=False)
    assert done.returncode == 1
    assert done.stdout == f"{vr.name}\n"
    assert 'no virtual router named "nobody"' in done.stderr
    assert vr.leftovers() == []


def test_who_is_named_twice_is_killed_once(europa):
    vr, other = europa.start("nullfwd"), europa.start("nullfwd")
    assert europa("kill", "-s", "WINCH", vr.name, vr.name).stdout == f"{vr.name}\n"
    assert europa("kill", vr.name, other.name, vr.name).stdout.split() == [vr.name, other.name]
    assert len(europa("kill", "nobody", "nobody", check=False).stderr.splitlines()) == 1


def test_kill_all_ends_all(europa):
    vrs = [europa.start("nullfwd") for _ in range(2)]
    assert sorted(europa("kill", "--all", "-t", 5).stdout.split()) == sorted(vr.name for vr in vrs)
    assert europa("kill", "--all").stdout == ""


def test_a_vr_that_was_stopped_is_killed_after_the_grace(europa):
    vr = europa.start("nullfwd")
    # A stopped data plane takes no TERM.
    init = europa.ps()[0]["pid"]
    for pid in command("pgrep", "-P", init).stdout.split():
        os.kill(int(pid), signal.SIGSTOP)
    assert europa("kill", "--time", 1, vr.name).stdout == f"{vr.name}\n"
    assert vr.leftovers() == []


def test_kill_with_kill_asks_nobody(europa):
    vr = europa.start("nullfwd")
    assert europa("kill", "-s", 9, vr.name).stdout == f"{vr.name}\n"
    assert vr.leftovers() == []


def test_another_signal_is_only_sent(europa):
    vr = europa.start("nullfwd")
    assert europa("kill", "-s", "WINCH", vr.name).stdout == f"{vr.name}\n"
    assert europa.ps()[0]["status"] == "running"


def test_an_exited_vr_is_kept_until_it_is_killed(europa):
    vr = europa.start("nullfwd")
    os.kill(europa.ps()[0]["pid"], signal.SIGKILL)
    entry = wait_for(lambda: [e for e in europa.ps() if e["status"] == "exited"], "it to have exited")[0]
    assert entry["exit_code"] == 137 and entry["pid"] is None and entry["finished"]
    assert re.search(r"Exited \(137\) .* ago", europa("ps", "-a").stdout)
    assert vr.name not in europa("ps").stdout
    assert "doesn't run" in failed(europa, "kill", "-s", "HUP", vr.name)
    assert "has exited" in failed(europa, "run", "--detach", "--name", vr.name, IMAGES / "nullfwd")
    assert europa("kill", vr.name).stdout == f"{vr.name}\n"
    assert europa.ps() == []
    assert vr.leftovers() == []


# ---- what is left of the killed ----

def supervisor(europa, vr):
    return next(e["supervisor"] for e in europa.ps() if e["name"] == vr.name)


@pytest.mark.parametrize("sweeper", ["ps", "kill", "stat", "run"])
def test_what_a_killed_supervisor_left_is_swept(europa, sweeper):
    vr = europa.start("nullfwd", "--vnics", 2)
    os.kill(supervisor(europa, vr), signal.SIGKILL)
    wait_for(lambda: supervisor_gone(europa, vr), "the supervisor to be gone")
    if sweeper == "run":
        assert "has exited" in failed(europa, "run", "--detach", "--name", vr.name, IMAGES / "nullfwd")
    else:
        europa(sweeper, *([] if sweeper == "ps" else [vr.name]), check=False)
    if sweeper != "kill":
        assert europa.ps()[0]["status"] == "exited" and europa.ps()[0]["exit_code"] == 137
    europa("kill", vr.name, check=False)
    wait_for(lambda: not vr.leftovers(), "nothing to be left")


def supervisor_gone(europa, vr):
    pid = json.loads((state_dir(europa, vr) / "state.json").read_text())["supervisor"]["pid"]
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_devices_go_where_supervisor_and_switch_were_killed(europa):
    vr = europa.start("nullfwd", "--vnics", 2)
    pids = [supervisor(europa, vr), *europa.switch_pids()]
    assert len(pids) == 2
    # Both before either can do anything about it.
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: supervisor_gone(europa, vr) and not europa.switch_pids(), "both to be gone")
    assert europa("kill", vr.name).stdout == f"{vr.name}\n"
    wait_for(lambda: not [d for d in europa.home.devices() if d.startswith(vr.name)], "the devices to be gone")
    (europa.run_dir / "switch.sock").unlink(missing_ok=True)


def test_with_rm_nothing_is_kept(europa):
    vr = europa.start("nullfwd", "--rm")
    os.kill(europa.ps()[0]["pid"], signal.SIGKILL)
    wait_for(lambda: europa.ps() == [] and not vr.leftovers(), "it to be forgotten, and its supervisor to end")


# ---- stat ----

def test_stat_shows_every_part(europa):
    vr = europa.start("nullfwd", "--vnics", 2, "--cpu", "50%", "--memory", "64M", "--pids", 20, "--pool", 100, "--ring", 64)
    text = europa("stat", vr.name).stdout
    assert text.startswith(f"{vr.name}: running, switch ")
    assert "(attached)" in text and "of 50.0%" in text and "of 64.0 MiB" in text and "of 20" in text
    assert "100 slots of " in text and "/64" in text
    entry, = json.loads(europa("stat", "--format", "json", vr.name).stdout)
    assert entry["cpu"]["quota_percent"] == 50 and entry["memory"]["limit"] == 64 << 20 and entry["pids"]["limit"] == 20
    assert entry["pool"]["slots"] == 100 and len(entry["vnics"]) == 2
    assert entry["pids"]["used"] >= 2
    drops = entry["vnics"][0]["drops"]
    assert {"rx_ring_full", "bad_index", "tx_down"} <= set(drops)
    assert entry["vnics"][0]["device"] == f"{vr.name}-v0"


def test_stat_counts_packets(europa):
    vr = europa.start("nullfwd", "--vnics", 2, "--link", "0=generator", "--link", "1=generator")

    def counts():
        entry, = json.loads(europa("stat", "--format", "json", vr.name).stdout)
        return [entry["vnics"][n][key] for n in (0, 1) for key in ("rx_packets", "rx_bytes", "tx_packets", "tx_bytes")]
    wait_for(lambda: all(n > 1000 for n in counts()), "packets to be counted")


def test_stat_says_that_the_quota_is_why_packets_are_dropped(europa):
    # A millisecond in a hundred, and a ring that is full long before the next one.
    vr = europa.start("nullfwd", "--vnics", 2, "--cpu", "1%", "--ring", 32)
    mac = vr.state()["vnics"][0]["mac"]
    sender = europa.home.popen(BUILD / "tests" / "udpgen", "--device", f"{vr.name}-v0", "--to", mac, "--dst", "192.0.2.1",
                               "--src", "192.0.2.2", "--rate", 20000, "--seconds", 60)

    def remark():
        text = europa("stat", vr.name).stdout
        return text if "packets found no room because of the quota: it stopped the VR for" in text else None
    text = wait_for(remark, "the remark")
    sender.terminate()
    assert re.search(r"throttled in [1-9]\d* of \d+ periods", text)
    assert re.search(r"vNIC 0: .*rx_ring_full [1-9]", text)
    assert re.search(r"for [0-9.]+ s \([0-9.]+% of the time\)", text)
    assert "than 1.0% of a CPU can forward" in text
    entry, = json.loads(europa("stat", "--format", "json", vr.name).stdout)
    assert entry["no_room"] == "quota" and entry["cpu"]["throttled_percent"] > 2


def test_stat_does_not_blame_a_quota_that_stopped_nobody(europa):
    vr = europa.start("nullfwd", "--vnics", 2, "--ring", 32)
    assert vr.stat()["no_room"] is None
    for pid in vr.pids():
        os.kill(pid, signal.SIGSTOP)
    sender = europa.home.popen(BUILD / "tests" / "udpgen", "--device", f"{vr.name}-v0", "--to", vr.state()["vnics"][0]["mac"], "--dst", "192.0.2.1",
                               "--src", "192.0.2.2", "--rate", 2000, "--seconds", 60)
    wait_for(lambda: vr.stat()["no_room"] == "slow", "drops")
    sender.terminate()
    text = europa("stat", vr.name).stdout
    assert "and not because of a quota" in text and "because of the quota" not in text, text


def test_stat_shows_that_a_vr_makes_no_progress(europa):
    vr = europa.start("nullfwd", "--vnics", 2)
    assert vr.stat()["vnics"][0]["stalls"] == 0 and "stalls" not in europa("stat", vr.name).stdout
    for pid in vr.pids():
        os.kill(pid, signal.SIGSTOP)
    sender = europa.home.popen(BUILD / "tests" / "udpgen", "--device", f"{vr.name}-v0", "--to", vr.state()["vnics"][0]["mac"], "--dst", "192.0.2.1",
                               "--src", "192.0.2.2", "--rate", 100, "--seconds", 1)
    wait_for(lambda: vr.stat()["vnics"][0]["stalls"] > 1, "stalls")
    assert re.search(r"stalls  vNIC 0: for \d+ s the VR took none of the packets", europa("stat", vr.name).stdout)
    assert vr.stat()["vnics"][1]["stalls"] == 0
    assert sender.wait(timeout=30) == 0
    for pid in vr.pids():
        os.kill(pid, signal.SIGCONT)
    wait_for(lambda: vr.stat()["vnics"][0]["rx_ring"]["used"] == 0, "progress")


def test_stat_watches_with_rates(europa):
    vr = europa.start("nullfwd", "--vnics", 1)
    child = europa.popen("stat", "--watch", "0.1", "--format", "json", vr.name)
    first, second = json.loads(child.stdout.readline()), json.loads(child.stdout.readline())
    child.terminate()
    assert "rx_packets_per_second" not in first[0]["vnics"][0]
    assert second[0]["vnics"][0]["rx_packets_per_second"] >= 0
    child = europa.popen("stat", "--watch=0.1", vr.name)
    lines = [child.stdout.readline() for _ in range(40)]
    child.terminate()
    assert any("RX PKTS/s" in line for line in lines)


def test_watching_ends_where_nobody_reads(europa):
    europa.start("nullfwd")
    child = europa.popen("stat", "--watch", "0.1")
    child.stdout.readline()
    child.stdout.close()
    wait_for(lambda: child.poll() is not None, "it to end")
    child.stdout = None


def test_stat_of_nothing_says_so(europa):
    assert europa("stat").stdout == "no virtual router runs\n"
    assert json.loads(europa("stat", "--format", "json").stdout) == []


# ---- update ----

def told_quota(vr):
    """What the data plane reads in the region's header (struct europa_header.cpu_permille)."""
    state = vr.state()
    with open(f"/proc/{vr.supervisor()}/fd/{state['control_fd']}", "rb") as control:
        return struct.unpack_from("<I", control.read(188), 184)[0]


def test_update_changes_what_is_named_and_nothing_else(europa):
    vr = europa.start("nullfwd", "--cpu", "25%", "--memory", "64M", "--pids", 20)

    def limits():
        entry, = json.loads(europa("stat", "--format", "json", vr.name).stdout)
        return entry["cpu"]["quota_percent"], entry["memory"]["limit"], entry["pids"]["limit"]
    assert limits() == (25, 64 << 20, 20)
    assert told_quota(vr) == 250
    europa("update", "--cpu", "40%", vr.name)
    assert limits() == (40, 64 << 20, 20)
    assert europa.ps()[0]["cpu_percent"] == 40
    assert told_quota(vr) == 400
    europa("update", "--pids", "unlimited", "--memory", "128M", vr.name)
    assert limits() == (40, 128 << 20, None)
    europa("update", "--cpus", "unlimited", vr.name)
    assert limits()[0] is None and europa.ps()[0]["cpu_percent"] is None
    assert told_quota(vr) == 0xffffffff


def test_update_is_all_or_nothing(europa):
    vr = europa.start("nullfwd", "--cpu", "25%", "--pids", 20)
    before = json.loads(europa("inspect", vr.name).stdout)[0]["state"]["limits"]
    message = failed(europa, "update", "--cpu", "50%", "--pids", 30, "--cpuset", 8000, vr.name)
    assert "cpuset" in message
    entry, = json.loads(europa("stat", "--format", "json", vr.name).stdout)
    assert (entry["cpu"]["quota_percent"], entry["pids"]["limit"]) == (25, 20)
    assert json.loads(europa("inspect", vr.name).stdout)[0]["state"]["limits"] == before


def test_update_refuses_a_period_that_it_cannot_give(europa):
    vr = europa.start("nullfwd", "--cpu", "5%", "--cpu-period", "40ms")
    before = vr.inspect()["state"]["limits"]
    wanted = '--cpu-period "10000us": expected at least 20000us with a quota of 5.0%, for 1 ms in each period'
    assert failed(europa, "update", "--cpu-period", "10ms", vr.name) == wanted
    assert failed(europa, "update", "--cpu-period", "10ms", "--cpu", "5%", vr.name) == wanted
    assert vr.inspect()["state"]["limits"] == before
    europa("update", "--cpu-period", "10ms", "--cpu", "10%", vr.name)


def test_update_refuses_cpu_limits_in_the_words_of_its_options(europa):
    free, bounded = europa.start("nullfwd"), europa.start("nullfwd", "--cpu", "25%", "--cpu-burst", "2ms")
    before = [vr.inspect()["state"]["limits"] for vr in (free, bounded)]
    assert failed(europa, "update", "--cpu-burst", "1ms", free.name) == '--cpu-burst "1000us": expected a quota (--cpu) that it can save up'
    assert failed(europa, "update", "--cpu-period", "20ms", free.name) == '--cpu-period "20000us": expected a quota (--cpu) to give in it'
    assert failed(europa, "update", "--cpu", "unlimited", "--cpu-burst", "1ms", bounded.name) == \
        '--cpu-burst "1000us": expected a quota (--cpu) that it can save up'
    assert failed(europa, "update", "--cpu-burst", "3ms", bounded.name) == '--cpu-burst "3000us": expected at most the quota, 2500us in each period'
    assert failed(europa, "update", "--cpu", "10%", bounded.name) == '--cpu-burst "2000us": expected at most the quota, 1000us in each period'
    assert [vr.inspect()["state"]["limits"] for vr in (free, bounded)] == before
    europa("update", "--cpu", "10%", "--cpu-burst", "0", bounded.name)
    europa("update", "--cpu", "unlimited", bounded.name)


# ---- logs ----

def test_logs_show_what_was_printed(europa, tmp_path):
    vr = europa.start("nullfwd")
    log = state_dir(europa, vr) / "log"
    wait_for(log.exists, "the log")
    # The data plane says little: the log's own lines are written here.
    log.write_text("one\ntwo\nthree\n")
    assert europa("logs", vr.name).stdout == "one\ntwo\nthree\n"
    assert europa("logs", "--tail", 2, vr.name).stdout == "two\nthree\n"
    assert europa("logs", "--tail", 0, vr.name).stdout == ""
    assert europa("logs", "--tail", "all", vr.name).stdout == "one\ntwo\nthree\n"
    log.write_text("one\ntwo")
    assert europa("logs", "--tail", 1, vr.name).stdout == "two"


def test_logs_follow_over_a_rotation_until_the_end(europa):
    vr = europa.start("nullfwd")
    log = state_dir(europa, vr) / "log"
    wait_for(log.exists, "the log")
    log.write_text("one\n")
    child = europa.popen("logs", "-f", vr.name)
    assert child.stdout.readline() == "one\n"
    with log.open("a") as f:
        f.write("two\n")
    assert child.stdout.readline() == "two\n"
    log.rename(log.with_suffix(".1"))
    log.write_text("three\n")
    assert child.stdout.readline() == "three\n"
    europa("kill", vr.name)
    wait_for(lambda: child.poll() is not None, "it to end")
    assert child.returncode == 0


def write_log(log, text, *times):
    """As the supervisor does it: times are (offset, seconds) pairs."""
    fresh = log.with_name("fresh")
    fresh.write_text(text)
    log.with_name("log.times").write_bytes(struct.pack("=Qq", fresh.stat().st_ino, 0) +
                                           b"".join(struct.pack("=Qq", offset, seconds * 10**9 + 5) for offset, seconds in times))
    fresh.rename(log)


def test_logs_tell_when_a_line_was_printed(europa):
    """Begun, that is: what comes later of a line, or after the log was put aside in the midst of one, changes nothing."""
    vr = europa.start("nullfwd")
    log = state_dir(europa, vr) / "log"
    wait_for(log.exists, "the log")
    write_log(log, "one\ntwo\nth", (0, 0), (6, 1), (8, 86400))
    zero, day = "1970-01-01T00:00:00.000000005Z", "1970-01-02T00:00:00.000000005Z"
    assert europa("logs", "-t", vr.name).stdout == f"{zero} one\n{zero} two\n{day} th"
    assert europa("logs", "--timestamps", "--tail", 2, vr.name).stdout == f"{zero} two\n{day} th"
    assert europa("logs", vr.name).stdout == "one\ntwo\nth"
    child = europa.popen("logs", "-ft", "--tail", 1, vr.name)
    assert child.stdout.read(len(day) + 3) == f"{day} th"
    write_log(log, "ree\nfour\n", (0, 5), (4, 86400))
    assert child.stdout.readline() == "ree\n"
    assert child.stdout.readline() == f"{day} four\n"
    europa("kill", vr.name)
    wait_for(lambda: child.poll() is not None, "it to end")
    assert child.returncode == 0


def test_logs_without_times_say_so(europa):
    vr = europa.start("nullfwd")
    log = state_dir(europa, vr) / "log"
    wait_for(log.exists, "the log")
    log.with_name("log.times").unlink()
    done = europa("logs", "-t", vr.name, check=False)
    assert done.returncode == 1 and done.stderr == f'europa-logs: of the log "{log}" it is not known when what was printed\n'


def test_a_terminal_is_not_at_the_data_planes_mercy(europa):
    vr = europa.start("nullfwd")
    log = state_dir(europa, vr) / "log"
    wait_for(log.exists, "the log")
    log.write_bytes(b"\033[2Jhidden\rshown\n")
    done = europa.home.run("script", "-qec", f"{BIN}/europa-logs {vr.name}", "/dev/null", env=europa.env)
    assert "\\x1b[2Jhidden\\x0dshown" in done.stdout and "\033[2J" not in done.stdout
    assert europa("logs", vr.name).stdout.startswith("\033[2J")


# ---- inspect ----

def test_the_examples_of_inspect_find_the_devices(europa):
    vr = europa.start("nullfwd", "--vnics", 2)
    assert [vnic["device"] for vnic in vr.inspect()["state"]["vnics"]] == [vr.device(0), vr.device(1)]
    for text in (ROOT / "docs/man/europa-inspect.1").read_text(), europa("inspect", "--help").stdout:
        assert re.findall(r"jq -r '(.*)'", text) == [".[0].state.vnics[].device"]


def test_inspect_knows_everything(europa):
    one, two = europa.start("nullfwd", "--vnics", 1, "--env", "A=b"), europa.start("nullfwd")
    entries = json.loads(europa("inspect", one.name, two.name).stdout)
    assert [entry["name"] for entry in entries] == [one.name, two.name]
    assert entries[0]["state"]["vnics"][0]["device"] == f"{one.name}-v0"
    assert entries[0]["statistics"]["pool"]["slots"] == 2048
    assert entries[0]["spec"]["env"][-1] == "A=b"
    done = europa("inspect", one.name, "nobody", check=False)
    assert done.returncode == 1 and len(json.loads(done.stdout)) == 1


# ---- hostile regions ----

def test_a_hostile_pool_cannot_hurt_its_readers(europa):
    """What the VR may write, is written here with noise: names with escape sequences, indexes that make no sense."""
    vr = europa.start("nullfwd", "--vnics", 2)
    state = json.loads(europa("inspect", vr.name).stdout)[0]["state"]
    noise = bytes(range(256)) * 64
    with open(f"/proc/{state['supervisor']['pid']}/fd/{state['pool_fd']}", "r+b") as pool:
        pool.write(noise)
    for argv in (["stat", vr.name], ["stat", "--format", "json", vr.name], ["inspect", vr.name], ["ps", "-a"]):
        done = europa(*argv)
        assert all(c == "\n" or " " <= c <= "~" for c in done.stdout), done.stdout
