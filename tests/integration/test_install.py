# SPDX-License-Identifier: MIT
"""What `make install` puts on a machine works from there: a data plane of one's own against the library, and the commands."""
import os
import re
import subprocess
import textwrap

import pytest

from conftest import IMAGES, ROOT, VR, command, wait_for


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """An installed tree below a directory of its own."""
    prefix = tmp_path_factory.mktemp("prefix", numbered=True)
    for directory in (prefix, *prefix.parents):
        if str(directory).startswith("/tmp/"):
            directory.chmod(0o755)
    command("make", "-C", ROOT, "-s", "install", f"O={prefix}/build", f"PREFIX={prefix}", timeout=600)
    return prefix


def library_flags(prefix, *options):
    env = dict(os.environ, PKG_CONFIG_PATH=str(prefix / "lib" / "pkgconfig"))
    return subprocess.check_output(["pkg-config", *options, "europa"], text=True, env=env).split()


def forwards(europa, image):
    vr = europa.start(image, "--vnics", "2", "--link", "0=generator:size=64", "--link", "1=generator:size=64")
    wait_for(lambda: vr.stat()["vnics"][1]["tx_packets"] > 10000, "it to forward")
    assert vr.stat()["switch"]["violations"] == 0


def test_a_data_plane_of_ones_own_as_the_readme_says(europa, installed, tmp_path):
    """The README's program, built and put into an image by the README's commands."""
    readme = (ROOT / "README.md").read_text()
    program = readme.partition("```c\n")[2].partition("```")[0]
    assert len([line for line in program.splitlines() if line.strip()]) <= 40
    (tmp_path / "shim" / "example").mkdir(parents=True)
    (tmp_path / "shim" / "example" / "forward.c").write_text(program)
    commands = re.search(r"^    cc .*?(?=^    sudo europa-run mine)", readme, re.M | re.S).group()
    tmp_path.chmod(0o755)
    command("bash", "-euc", textwrap.dedent(commands), cwd=tmp_path,
            env=dict(os.environ, PKG_CONFIG_PATH=str(installed / "lib" / "pkgconfig")))
    forwards(europa, tmp_path / "mine")


def test_the_example_data_plane_builds_without_a_warning(installed, tmp_path):
    command("cc", "-Wall", "-Wextra", "-Werror", "-O2", "-static", "-o", tmp_path / "forward", ROOT / "shim" / "example" / "forward.c",
            *library_flags(installed, "--cflags", "--libs", "--static"))


def test_the_example_is_cplusplus_too(installed, tmp_path):
    command("c++", "-x", "c++", "-Wall", "-Wextra", "-Werror", "-O2", "-c", "-o", tmp_path / "forward.o",
            ROOT / "shim" / "example" / "forward.c", *library_flags(installed, "--cflags"))


def test_the_shared_library_exports_what_the_header_declares(installed):
    (library,) = (installed / "lib").glob("libeuropa.so.*")
    names = {line.split()[-1].split("@")[0] for line in command("nm", "-D", "--defined-only", library).stdout.splitlines()}
    assert "europa_attach" in names
    assert all(name.startswith(("europa_", "EUROPA_", "LIBEUROPA_")) for name in names), names


def test_installed_commands_find_the_installed_images(europa, installed, tmp_path):
    vr = VR(europa, europa.name())
    europa.vrs.append(vr)
    europa.home.run(installed / "bin" / "europa-run", "--detach", "--name", vr.name, *europa.switch(), "ipfwd", env=europa.env,
                    cwd=tmp_path)
    vr.wait_running()


def test_installed_images_are_those_of_the_tree(installed):
    for image in IMAGES.iterdir():
        there = installed / "lib" / "europa" / "image" / image.name
        assert {str(path.relative_to(there)) for path in there.rglob("*")} == {str(path.relative_to(image)) for path in image.rglob("*")}


def test_a_tree_that_is_linked_is_found_until_it_is_unlinked(installed):
    prefix = installed / "linked"
    command("make", "-C", ROOT, "-s", "link", f"O={installed}/build", f"PREFIX={prefix}", timeout=600)
    assert command(prefix / "bin" / "europa-ps", "--version").stdout.startswith("europa-ps ")
    env = dict(os.environ, MANPATH=str(prefix / "share" / "man"))
    for page in ("europa-run", "europa", "europad"):
        assert command("man", "-w", page, env=env).stdout.startswith(str(ROOT))
    assert (prefix / "share/bash-completion/completions/europa-ps").read_text() == (ROOT / "docs/completion/europa").read_text()
    kept = prefix / "bin" / "europa-mine"
    kept.symlink_to("/bin/true")
    command("make", "-C", ROOT, "-s", "unlink", f"O={installed}/build", f"PREFIX={prefix}", timeout=600)
    assert [path for path in prefix.rglob("*") if not path.is_dir()] == [kept]


def test_uninstall_removes_what_install_made(installed):
    prefix = installed / "again"
    command("make", "-C", ROOT, "-s", "install", f"O={installed}/build", f"PREFIX={prefix}", timeout=600)
    assert (prefix / "bin" / "europa").exists()
    command("make", "-C", ROOT, "-s", "uninstall", f"O={installed}/build", f"PREFIX={prefix}", timeout=600)
    assert [str(path) for path in prefix.rglob("*") if not path.is_dir() or "europa" in str(path.relative_to(prefix))] == []
    assert (prefix / "include").is_dir()
