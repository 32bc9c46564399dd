"""`sam build` for this machine, repeated only when one of its inputs has changed."""

import hashlib
import os
import platform
import shutil
from pathlib import Path

from local import sam
from local.processes import ROOT, STATE, finish, own_environment
from local.tools import keep_newest

BUILDS = STATE / "build"
SOURCES = ("template.yaml", "layers", "functions", "local/requirements/sam.txt")
# A subfolder, because SAM writes another file next to its output.
OUTPUT = "out"


def architecture() -> str:
    """This machine's architecture, by Lambda's name."""
    return "arm64" if platform.machine().lower() in {"arm64", "aarch64"} else "x86_64"


def _source_files() -> list[Path]:
    files: list[Path] = []
    for source in SOURCES:
        path = ROOT / source
        files += [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sorted(file for file in files if "__pycache__" not in file.parts)


def fingerprint() -> str:
    """A digest of the content of everything that the build reads."""
    digest = hashlib.sha256(f"{platform.system()} {architecture()}".encode())
    for file in _source_files():
        content = hashlib.sha256(file.read_bytes()).hexdigest()
        digest.update(f"{file.relative_to(ROOT)} {content}\n".encode())
    return digest.hexdigest()[:16]


def built(log: Path) -> Path:
    """The folder with the built template, built first if necessary."""
    target = BUILDS / fingerprint()
    if not target.exists():
        _build(target, log)
    os.utime(target)
    keep_newest(BUILDS)
    return target / OUTPUT


def _build(target: Path, log: Path) -> None:
    work = BUILDS / f"{target.name}.{os.getpid()}"
    shutil.rmtree(work, ignore_errors=True)
    arguments = [
        "build",
        "--parallel",
        "--build-dir",
        str(work / OUTPUT),
        "--template-file",
        str(ROOT / "template.yaml"),
    ]
    arguments += ["--parameter-overrides", f"Architecture={architecture()}"]
    env = {**sam.environment(own_environment()), "PLATFORM": "host", "AWS_DEFAULT_REGION": "us-east-1"}
    try:
        finish("building the functions", sam.command(*arguments), env, log)
        # Renamed when complete, because another stack may be building the same.
        if not target.exists():
            work.rename(target)
    finally:
        shutil.rmtree(work, ignore_errors=True)
