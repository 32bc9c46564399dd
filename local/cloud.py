"""The emulated AWS: MiniStack on one port of this machine, empty at each start."""

import contextlib
import os
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from local.processes import HOST, STATE, LocalStackError, Program, free_port, running, shown, temporary_folder
from local.tools import environment_of, keep_newest, python_of

REGION = "us-east-1"
READY_SECONDS = 60
LAYERS = STATE / "layers"
ADAPTED = Path(__file__).with_name("adapted_ministack.py")
# The processes of all functions together. Each takes 50 MB of memory.
CALLS_AT_ONCE = 16


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
    command = _command()
    keep_newest(LAYERS)
    log.unlink(missing_ok=True)
    scratch = temporary_folder()
    env = {**_environment(port, scratch), "AUTH": "true" if enforce_iam else "false"}
    with running("the local cloud", command, env, log, cwd=scratch, scratch=scratch) as program:
        cloud = Cloud(port, program)
        wait_for(f"{cloud.url}/_ministack/ready", program)
        yield cloud


def _command() -> list[str]:
    # The emulator runs functions with the Python that runs it. That is a bare Python, so that functions can import only
    # their own layer; only the emulator gets the path of its own packages.
    site = next((environment_of("ministack") / "lib").glob("python3*")) / "site-packages"
    # -P: without it, the modules of this folder could be taken for packages of the same name.
    return [str(python_of("runtime")), "-P", str(ADAPTED), str(site), str(LAYERS)]


def _environment(port: int, scratch: Path) -> dict[str, str]:
    # Functions inherit these variables, so none of the caller's environment is passed on.
    return {
        "PATH": f"{environment_of('runtime') / 'bin'}{os.pathsep}{os.defpath}",
        "HOME": str(scratch),
        "LANG": "C.UTF-8",
        "PYTHONNOUSERSITE": "1",
        "BIND_HOST": HOST,
        # Browsers resolve every name below localhost. The page has one, because a cookie belongs to a name.
        "MINISTACK_HOST": "localhost",
        "GATEWAY_PORT": str(port),
        "LAMBDA_EXECUTOR": "local",
        # Both would listen on fixed ports, which a second stack couldn't share.
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "LAMBDA_ACCOUNT_CONCURRENCY": str(CALLS_AT_ONCE),
        # A function's last process stays.
        "LAMBDA_WARM_TTL_SECONDS": "60",
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
