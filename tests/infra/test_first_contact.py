"""Conditions of a new machine: folders with a space, a uv that doesn't run, a make that was killed."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from local.__main__ import alive, post_args
from local.processes import LocalStackError, require_space

ROOT = Path(__file__).parents[2]


def test_a_disk_without_space_is_refused_before_anything_starts(tmp_path: Path) -> None:
    require_space(tmp_path, 1)

    with pytest.raises(LocalStackError, match=r"has \d+ MB free, and this start needs 1000000000 MB"):
        require_space(tmp_path, 1_000_000_000)


def test_a_zombie_is_not_alive() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    # Wait until it has ended, and leave it uncollected.
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)

    assert not alive(child.pid)

    child.wait()
    assert not alive(child.pid)
    assert alive(os.getpid())


def test_each_line_of_the_tour_has_a_key_of_its_own() -> None:
    keys = {re.search(r"Idempotency-Key: (\S+)\"", post_args())[1] for _ in range(100)}  # type: ignore[index]

    assert len(keys) == 100


def test_the_layers_makefile_survives_a_space_in_the_path(tmp_path: Path) -> None:
    """The commands of a dry run: each use of the folder is one word of the shell, for uv too."""
    folder = tmp_path / "Área de Trabalho"

    done = subprocess.run(
        [
            "make",
            "-n",
            "-C",
            str(ROOT / "layers/prepaid"),
            "build-PrepaidLayer",
            f"ARTIFACTS_DIR={folder}",
            f"UV={folder}/uv",
        ],
        capture_output=True,
        check=True,
        text=True,
    )

    assert str(folder) in done.stdout
    assert re.findall(rf'[^"]{re.escape(str(folder))}', done.stdout) == []


def test_a_uv_that_does_not_run_is_not_used(tmp_path: Path) -> None:
    shim = tmp_path / "uv"
    shim.write_text("#!/bin/sh\nexit 127\n")
    shim.chmod(0o755)

    done = subprocess.run(
        ["make", "-n", "lint"],
        cwd=ROOT,
        env={**os.environ, "PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        check=True,
        text=True,
    )

    assert f"{shim} " not in done.stdout
    assert ".local/uv/bin/uv run" in done.stdout


def test_a_proxy_for_the_internet_is_not_asked_for_this_machine() -> None:
    """The user's own exclusions stay, in upper or lower case."""
    bypassed = """
import local
from urllib.request import proxy_bypass
print([bool(proxy_bypass(host)) for host in ("127.0.0.1:4566", "localhost", "intranet.example", "pypi.org")])
"""

    outputs = [
        subprocess.run(
            [sys.executable, "-c", bypassed],
            cwd=ROOT,
            env={"HTTP_PROXY": "http://192.0.2.1:3128"} | excluded,
            capture_output=True,
            check=True,
            text=True,
        ).stdout.strip()
        for excluded in ({}, {"NO_PROXY": "intranet.example"}, {"no_proxy": "intranet.example"})
    ]

    assert outputs == ["[True, True, False, False]"] + ["[True, True, True, False]"] * 2


def test_make_lock_renews_the_pins_of_every_tool() -> None:
    done = subprocess.run(["make", "-n", "lock"], cwd=ROOT, capture_output=True, check=True, text=True)

    lists = {path.relative_to(ROOT) for path in (ROOT / "local/requirements").glob("*.in")}
    assert len(lists) >= 6
    for path in lists:
        assert f"{path} --output-file {path.with_suffix('.txt')}" in done.stdout
