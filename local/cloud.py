"""The emulated AWS: MiniStack on one port of this machine, empty at each start."""

import contextlib
import os
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from local.processes import HOST, STATE, LocalStackError, Program, free_port, running, shown
from local.tools import environment_of, python_of

REGION = "us-east-1"
READY_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Cloud:
    """A running emulator."""

    port: int
    program: Program

    @property
    def url(self) -> str:
        """The endpoint of all its AWS services."""
        return f"http://{HOST}:{self.port}"

    def environment(self) -> dict[str, str]:
        """Environment variables that direct AWS tools and clients to this emulator only."""
        return environment_at(self.url)


def environment_at(url: str) -> dict[str, str]:
    """Environment variables that direct AWS tools and clients to the emulator at `url` only."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


@contextlib.contextmanager
def emulator(name: str = "tables", port: int | None = None, *, enforce_iam: bool = False) -> Iterator[Cloud]:
    """An empty AWS for the duration of a with block. port: None picks a free one.

    enforce_iam: functions run with their own roles only, so a permission missing from the template fails here.
    """
    port = port or free_port()
    log = STATE / "log" / name / "ministack.log"
    scratch = STATE / "tmp" / f"{name}-{port}"
    # Delete the files of a killed run: the emulator unpacks every function and layer there.
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    log.unlink(missing_ok=True)
    env = {**_environment(port, scratch), "AUTH": "true" if enforce_iam else "false"}
    try:
        with running("the local cloud", _command(), env, log, cwd=scratch) as program:
            cloud = Cloud(port, program)
            wait_for(f"{cloud.url}/_ministack/ready", program)
            yield cloud
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _command() -> list[str]:
    # The emulator runs functions with the Python that runs it. That is a bare Python, so that functions can import only
    # their own layer; only the emulator gets the path of its own packages.
    site = next((environment_of("ministack") / "lib").glob("python3*")) / "site-packages"
    starter = "import runpy, sys; sys.path.append(sys.argv.pop()); runpy.run_module('ministack', run_name='__main__')"
    return [str(python_of("runtime")), "-c", starter, str(site)]


def _environment(port: int, scratch: Path) -> dict[str, str]:
    # Functions inherit these variables, so none of the caller's environment is passed on.
    return {
        "PATH": f"{environment_of('runtime') / 'bin'}{os.pathsep}{os.defpath}",
        "HOME": str(scratch),
        "LANG": "C.UTF-8",
        "PYTHONNOUSERSITE": "1",
        "TMPDIR": str(scratch),
        "BIND_HOST": HOST,
        # Browsers resolve every name below localhost. The page has one, because a cookie belongs to a name.
        "MINISTACK_HOST": "localhost",
        "GATEWAY_PORT": str(port),
        "LAMBDA_EXECUTOR": "local",
        # Both would listen on fixed ports, which a second stack couldn't share.
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "LAMBDA_WARM_TTL_SECONDS": "86400",
        "PERSIST_STATE": "0",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
    }


def answers(url: str) -> bool:
    """Whether a GET of `url` succeeds."""
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def wait_for(url: str, program: Program, seconds: float = READY_SECONDS) -> None:
    """Wait until a program responds at `url`. Raises LocalStackError naming its log after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        program.require_running()
        if answers(url):
            return
        time.sleep(0.1)
    raise LocalStackError(f"{program.name} did not answer within {seconds:.0f} s, see {shown(program.log)}")
