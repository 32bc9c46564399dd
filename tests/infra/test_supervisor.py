"""However the owner of a local stack exits, none of its programs keeps running."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from local.__main__ import alive
from local.processes import ROOT, LocalStackError, finish, free_port, require_free, running
from local.supervisor import end_group

WAIT_SECONDS = 20.0

# A program that starts another, as the emulator does with functions, and writes both process ids and the folder for
# temporary files to a file.
PARENT_AND_CHILD = """
import os, pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
draft = pathlib.Path(sys.argv[1] + ".draft")
draft.write_text(f"{os.getpid()} {child.pid} {os.environ['TMPDIR']}")
draft.rename(sys.argv[1])
time.sleep(600)
"""
# A shell that starts the tests in the background has SIGINT ignored, and children inherit that.
OWNER = """
import os, pathlib, signal, sys, time
from local.processes import start
signal.signal(signal.SIGINT, signal.default_int_handler)
start("it", [sys.executable, "-c", sys.argv[1], sys.argv[2]], os.environ, pathlib.Path(sys.argv[2] + ".log"))
time.sleep(600)
"""


def eventually(true: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.05)
    return False


def written(file: Path) -> tuple[list[int], Path]:
    assert eventually(file.exists)
    parent, child, folder = file.read_text().split(maxsplit=2)
    return [int(parent), int(child)], Path(folder)


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_an_owner_that_exits_ends_everything_it_started(tmp_path: Path, end: signal.Signals) -> None:
    ids = tmp_path / "ids"
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, PARENT_AND_CHILD, str(ids)], cwd=ROOT, stderr=subprocess.DEVNULL
    )
    started, folder = written(ids)
    assert folder.is_dir()
    owner.send_signal(end)
    owner.wait()
    assert eventually(lambda: all(not alive(process) for process in started))
    assert eventually(lambda: not folder.exists())


def test_a_with_block_leaves_no_process_and_no_file(tmp_path: Path) -> None:
    ids = tmp_path / "ids"
    command = [sys.executable, "-c", PARENT_AND_CHILD, str(ids)]
    with running("it", command, os.environ, tmp_path / "log") as program:
        started, folder = written(ids)
        assert not program.ended()
        (folder / "code").mkdir()
        (folder / "code/app.py").touch()
    assert eventually(lambda: all(not alive(process) for process in started))
    assert not folder.exists()


def test_children_of_a_finished_program_are_ended_too(tmp_path: Path) -> None:
    ids = tmp_path / "ids"
    short = PARENT_AND_CHILD.replace("\ntime.sleep(600)\n", "\n")
    finish("it", [sys.executable, "-c", short, str(ids)], os.environ, tmp_path / "log")
    started, folder = written(ids)
    assert eventually(lambda: all(not alive(process) for process in started))
    assert not folder.exists()


def test_a_failed_program_names_its_log_and_the_cause(tmp_path: Path) -> None:
    log = tmp_path / "it.log"
    with pytest.raises(LocalStackError, match=r"weaving failed, see .*it\.log: no thread"):
        finish("weaving", [sys.executable, "-c", "raise SystemExit('no thread')"], os.environ, log)
    assert "no thread" in log.read_text()


def test_a_port_in_use_is_refused_before_anything_starts() -> None:
    with subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import socket; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True); input()",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as listener:
        assert listener.stdout is not None
        port = int(listener.stdout.readline())
        with pytest.raises(LocalStackError, match=rf"port {port} is in use; choose another with PORT={port + 1}"):
            require_free(port, "PORT")
        listener.communicate(b"\n")
    require_free(free_port(), "PORT")


def test_ending_a_finished_group_is_no_error() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""], start_new_session=True)
    ended.wait()
    end_group(ended.pid)
