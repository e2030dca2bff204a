# SPDX-License-Identifier: MIT
"""libeuropa as other people's programs see it, and the manners of the images that are built on it."""
import os
import re
import signal

import pytest

from conftest import BUILD, IMAGES, ROOT, VR, command, wait_for

EXAMPLE = ROOT / "shim" / "example" / "forward.c"
STRICT = ["-Wall", "-Wextra", "-pedantic", "-Werror", f"-I{BUILD}/include"]


@pytest.mark.parametrize("compiler", [
    ["cc", "-std=c99"],
    ["cc", "-std=c11"],
    ["clang", "-std=c99"],
    ["c++", "-x", "c++", "-std=c++11"],
    ["c++", "-x", "c++", "-std=c++20"],
    ["clang++", "-Wno-deprecated", "-x", "c++", "-std=c++11"],
], ids=" ".join)
def test_the_headers_compile_without_a_warning(compiler, tmp_path):
    command(*compiler, *STRICT, "-c", "-o", tmp_path / "forward.o", EXAMPLE)


def manual_page():
    return (ROOT / "docs" / "man" / "europa.3").read_text().replace("\\-", "-")


@pytest.mark.parametrize("compiler", [["cc", "-std=c11"], ["c++", "-x", "c++", "-std=c++11"]], ids=" ".join)
def test_the_example_of_the_manual_page_compiles_without_a_warning(compiler, tmp_path):
    (tmp_path / "example.c").write_text(manual_page().partition(".SH EXAMPLES")[2].partition(".nf\n")[2].partition(".fi\n")[0])
    command(*compiler, *STRICT, "-c", "-o", tmp_path / "example.o", tmp_path / "example.c")


def test_the_manual_page_declares_what_the_header_does():
    """The kick is the inline functions' own."""
    header = re.sub(r"/\*.*?\*/", "", (ROOT / "shim" / "europa.h").read_text(), flags=re.S)
    declared = set(re.findall(r"^[a-z].*?\b(europa_\w+)\(", header, re.M)) - {"europa_kick"}
    synopsis, text = manual_page().partition(".SH DESCRIPTION")[::2]
    assert len(declared) > 20
    assert set(re.findall(r"\b(europa_\w+)\(", synopsis)) == declared
    assert [name for name in sorted(declared) if f"{name} ()" not in text] == []


def test_a_program_finds_the_shared_library_by_its_soname(tmp_path):
    program = tmp_path / "forward"
    command("cc", *STRICT, "-o", program, EXAMPLE, f"-L{BUILD}/lib", "-leuropa")
    assert "libeuropa.so.0" in command("readelf", "-d", program).stdout
    done = command(program, check=False, env=dict(os.environ, LD_LIBRARY_PATH=f"{BUILD}/lib"))
    assert (done.returncode, done.stderr) == (1, "forward: no packet pool was handed to this process: start it by europa-run\n")


def test_the_static_library_has_no_other_names_than_its_own():
    lines = command("nm", "--defined-only", "--extern-only", BUILD / "lib" / "libeuropa.a").stdout.splitlines()
    names = [line.split()[-1] for line in lines if len(line.split()) == 3]
    assert "europa_attach" in names
    assert [name for name in names if not name.startswith("europa_")] == []


@pytest.mark.parametrize("image, bad", [
    ("nullfwd", ["--burst", "0"]),
    ("nullfwd", ["--burst", "257"]),
    ("nullfwd", ["--burst", "3x"]),
    ("nullfwd", ["--bursts"]),
    ("nullfwd", ["eth0"]),
    ("l2switch", ["--ageing", "-1"]),
    ("l2switch", ["--ageing", ""]),
    ("l2switch", ["--stations", "0"]),
    ("l2switch", ["--stations", "99999999999999999999"]),
    ("l2switch", ["eth0"]),
], ids=lambda value: " ".join(value) if isinstance(value, list) else value)
def test_a_bad_option_is_quoted(image, bad):
    done = command(IMAGES / image / "rootfs" / "bin" / image, *bad, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(f"{image}: ")
    assert bad[-1] in done.stderr


@pytest.mark.parametrize("image", ["nullfwd", "l2switch"])
def test_help_is_there(image):
    done = command(IMAGES / image / "rootfs" / "bin" / image, "--help")
    assert done.stdout.startswith(f"usage: {image} ") and done.stderr == ""


@pytest.mark.parametrize("image", ["nullfwd", "l2switch", "ipfwd"])
def test_an_image_tells_its_version(image):
    version = command(BUILD / "bin" / "europa", "--version").stdout.split()[1]
    assert command(IMAGES / image / "rootfs" / "bin" / image, "--version").stdout == f"{image} {version}\n"


@pytest.mark.parametrize("image", ["nullfwd", "l2switch"])
def test_ends_well_when_asked_to(europa, image):
    vr = VR(europa, europa.name())
    europa.vrs.append(vr)
    running = europa.popen("run", "--name", vr.name, *europa.switch(), "--link", "0=generator:size=64", IMAGES / image)
    vr.wait_running()
    wait_for(lambda: vr.stat()["vnics"][0]["rx_packets"] > 1000, "packets to come in")
    running.send_signal(signal.SIGTERM)
    assert running.wait(30) == 0
