"""Starts and stops the programs of a local stack."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STATE = ROOT / ".local"
SUPERVISOR = Path(__file__).with_name("supervisor.py")
HOST = "127.0.0.1"
# Characters of a log's last line that an error shows.
LAST_LINE = 500


class LocalStackError(Exception):
    """An error for the user, in one line."""


def free_port() -> int:
    """A port that is free now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def require_free(port: int, setting: str) -> None:
    """Raise LocalStackError if the port is in use, before anything starts. setting: the option that changes it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise LocalStackError(f"port {port} is in use; choose another with {setting}={port + 1}") from error


def require_space(folder: Path, megabytes: int) -> None:
    """Raise LocalStackError if the folder's disk has less space, before anything fails halfway without a log."""
    free = shutil.disk_usage(folder).free // 1_000_000
    if free < megabytes:
        raise LocalStackError(f"the disk of {shown(folder)} has {free} MB free, and this start needs {megabytes} MB")


def shown(log: Path) -> str:
    """A file's path, relative to the repository if it is inside."""
    return str(log.relative_to(ROOT)) if log.is_relative_to(ROOT) else str(log)


@dataclass(frozen=True, slots=True)
class Program:
    """A program under a supervisor, which ends the program when this process exits."""

    name: str
    log: Path
    scratch: Path
    supervisor: subprocess.Popen[bytes]

    def ended(self) -> bool:
        """Whether the program exited by itself."""
        return self.supervisor.poll() is not None

    def require_running(self) -> None:
        """Raise LocalStackError naming the log if the program exited by itself."""
        if self.ended():
            raise LocalStackError(f"{self.name} stopped by itself, see {shown(self.log)}")

    def stop(self) -> None:
        """Close the supervisor's standard input: it ends the program and everything the program started."""
        if self.supervisor.stdin:
            self.supervisor.stdin.close()


def temporary_folder() -> Path:
    """A new empty folder for what a program writes while it runs."""
    (STATE / "tmp").mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=STATE / "tmp"))


def start(
    name: str,
    command: Sequence[str | Path],
    env: Mapping[str, str],
    log: Path,
    cwd: Path = ROOT,
    scratch: Path | None = None,
) -> Program:
    """Start a program that ends when this process exits.

    scratch: the program's folder for temporary files, a new one by default. Deleted when the program has ended.
    """
    scratch = scratch or temporary_folder()
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        supervisor = subprocess.Popen(
            [sys.executable, "-I", str(SUPERVISOR), str(scratch), *map(str, command)],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**env, "TMPDIR": str(scratch)},
            cwd=cwd,
            start_new_session=True,
        )
    return Program(name, log, scratch, supervisor)


@contextlib.contextmanager
def running(
    name: str,
    command: Sequence[str | Path],
    env: Mapping[str, str],
    log: Path,
    cwd: Path = ROOT,
    scratch: Path | None = None,
) -> Iterator[Program]:
    """A running program for the duration of a with block. The arguments are those of `start`."""
    program = start(name, command, env, log, cwd, scratch)
    try:
        yield program
    finally:
        program.stop()
        program.supervisor.wait()


def finish(name: str, command: Sequence[str | Path], env: Mapping[str, str], log: Path, cwd: Path = ROOT) -> None:
    """Run a program to its end. Raises LocalStackError with the last line of its log unless it exits with 0."""
    with running(name, command, env, log, cwd) as program:
        if program.supervisor.wait() != 0:
            last = log.read_text("utf-8", errors="replace").strip().rpartition("\n")[2].strip()
            raise LocalStackError(f"{name} failed, see {shown(log)}: {last[:LAST_LINE]}")


def own_environment() -> dict[str, str]:
    """This process's environment, without variables that direct tools to a real AWS account or to wrong packages."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(
            ("AWS_", "MAKE", "MFLAGS", "PYTHON", "SAM_", "VIRTUAL_ENV", "MINISTACK", "LAMBDA_", "STRIPE_")
        )
    }
