"""`make run`, ended at any moment by any signal or a closed terminal, leaves no process and no file."""

import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from local.processes import ROOT, STATE, free_port

# A few seconds on an idle machine. Beside other tests, deleting a build half done takes longest.
STOP_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Run:
    """`python -m local` on a terminal of its own. seen: what it has printed."""

    process: subprocess.Popen[bytes]
    terminal: int
    seen: bytearray

    def until(self, step: bytes) -> None:
        """Read what it prints until it begins this step."""
        while step not in self.seen:
            self.seen.extend(os.read(self.terminal, 1024))

    def to_the_end(self) -> str:
        """All that it has printed, once it has exited."""
        try:
            while more := os.read(self.terminal, 1024):
                self.seen.extend(more)
        except OSError:
            # Linux raises this when no other process has the terminal open.
            pass
        return self.seen.decode()

    def programs(self) -> set[int]:
        """The ids of all processes that it started, and theirs."""
        listed = subprocess.run(["ps", "-e", "-o", "pid=,ppid="], capture_output=True, check=True, text=True)
        rows = [[int(number) for number in line.split()] for line in listed.stdout.splitlines()]
        found = {self.process.pid}
        while more := {child for child, parent in rows if parent in found} - found:
            found |= more
        return found - {self.process.pid}


def started(name: str) -> Run:
    """It has its own session, as in a terminal window, so closing the terminal sends SIGHUP."""
    terminal, inside = pty.openpty()
    command = [sys.executable, "-m", "local", "--stack", name, "--port", str(free_port())]
    process = subprocess.Popen(
        [sys.executable, "-c", ON_A_TERMINAL, *command, "--stripe-port", str(free_port())],
        cwd=ROOT,
        stdin=inside,
        stdout=inside,
        stderr=inside,
        start_new_session=True,
    )
    os.close(inside)
    return Run(process, terminal, bytearray())


# The first terminal that a session's leader opens becomes the session's controlling terminal.
ON_A_TERMINAL = """
import os, sys
os.close(os.open(os.ttyname(0), os.O_RDWR))
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.fixture
def name() -> Iterator[str]:
    """A stack's name. Deletes its logs and its lock, which a stack keeps."""
    chosen = f"ended-{os.getpid()}"
    yield chosen
    shutil.rmtree(STATE / "log" / chosen)
    (STATE / f"{chosen}.lock").unlink()


def press_twice(run: Run) -> None:
    os.write(run.terminal, b"\x03")
    time.sleep(0.2)
    os.write(run.terminal, b"\x03")


def terminate(run: Run) -> None:
    run.process.terminate()


def close_terminal(run: Run) -> None:
    os.close(run.terminal)


def alive(processes: set[int]) -> set[int]:
    listed = subprocess.run(["ps", "-e", "-o", "pid=,stat="], capture_output=True, check=True, text=True).stdout
    rows = [line.split() for line in listed.splitlines()]
    return processes & {int(process) for process, state in rows if "Z" not in state}


@pytest.mark.parametrize(
    ("step", "end"),
    [
        (b"building the functions", press_twice),
        (b"deploying the template", terminate),
        (b"deploying the template", close_terminal),
        (b"starting the local cloud", press_twice),
    ],
)
def test_a_run_that_is_ended_leaves_nothing(name: str, step: bytes, end: Callable[[Run], None]) -> None:
    run = started(name)
    try:
        run.until(step)
        # Until the step's program runs.
        time.sleep(1)
        programs = run.programs()
        began = time.monotonic()
        end(run)
        code = run.process.wait(STOP_SECONDS)
        took = time.monotonic() - began
    finally:
        run.process.kill()
        run.process.wait()

    assert took < STOP_SECONDS
    assert alive(programs) == set()
    assert list((STATE / "tmp").glob(f"{run.process.pid}-*")) == []
    assert not (STATE / f"{name}.json").exists()
    assert code == 0
    if end is not close_terminal:
        assert "stopping: " in run.to_the_end()
        assert f"stopped; the logs are in .local/log/{name}" in run.to_the_end()


def test_a_signal_while_it_stops_does_not_interrupt_the_clean_up(name: str) -> None:
    """Ctrl-C again, SIGTERM and a closed terminal, while it deletes."""
    run = started(name)
    run.until(b"starting the local cloud")
    time.sleep(1)
    programs = run.programs()

    for number in (signal.SIGINT, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        run.process.send_signal(number)
        time.sleep(0.02)

    assert run.process.wait(STOP_SECONDS) == 0
    assert alive(programs) == set()
    assert list((STATE / "tmp").glob(f"{run.process.pid}-*")) == []
    assert run.to_the_end().count("stopping: ") == 1
