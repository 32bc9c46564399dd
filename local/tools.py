"""Tools that must not share the project's environment: each has its own, from requirements with hashes."""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from local.processes import STATE, LocalStackError, finish, own_environment

REQUIREMENTS = Path(__file__).with_name("requirements")
PYTHON_VERSION = "3.13"
# Stacks that run may still read an older one.
KEPT = 4


def uv() -> str:
    """The path of the uv that runs this process, or of the one on the PATH. Raises LocalStackError without one."""
    path = os.environ.get("UV") or shutil.which("uv")
    if not path:
        raise LocalStackError("uv was not found; start this through make, which installs it")
    return path


def environment_of(tool: str) -> Path:
    """The folder of a tool's environment, created on first use.

    `runtime` has no requirements: it is a bare Python, so that a function with a missing dependency fails here too.
    """
    requirements = REQUIREMENTS / f"{tool}.txt"
    digest = hashlib.sha256(
        requirements.read_bytes() if requirements.exists() else PYTHON_VERSION.encode()
    ).hexdigest()[:12]
    return made_once(STATE / "tools" / f"{tool}-{digest}", lambda folder: _install(tool, requirements, folder))


def made_once(folder: Path, make: Callable[[Path], None]) -> Path:
    """The folder, created by the first process that needs it. An incomplete one is created again."""
    marker = folder / "complete"
    if marker.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not marker.exists():
            make(folder)
            marker.touch()
    return folder


def keep_newest(folder: Path) -> None:
    """Create the folder, or delete all but the newest of its entries."""
    folder.mkdir(parents=True, exist_ok=True)
    for surplus in sorted(folder.iterdir(), key=lambda entry: entry.stat().st_mtime)[:-KEPT]:
        shutil.rmtree(surplus, ignore_errors=True)


def _install(tool: str, requirements: Path, folder: Path) -> None:
    log = STATE / "log" / f"install-{tool}.log"
    env = own_environment()
    step = f"installing {tool}"
    # --clear, because an interrupted attempt may have left an incomplete environment.
    finish(step, [uv(), "venv", "--clear", "--no-project", "--python", PYTHON_VERSION, folder], env, log)
    if requirements.exists():
        command = [
            uv(),
            "pip",
            "install",
            "--compile-bytecode",
            "--require-hashes",
            "--python",
            str(folder),
            "--requirements",
            str(requirements),
        ]
        finish(step, command, env, log)


def python_of(tool: str) -> Path:
    """The Python of a tool's environment."""
    return environment_of(tool) / "bin" / "python"
