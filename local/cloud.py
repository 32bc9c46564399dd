"""The emulated AWS: MiniStack on one port of this machine, empty at every start."""

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
        """Where every AWS service of it answers."""
        return f"http://{HOST}:{self.port}"

    def environment(self) -> dict[str, str]:
        """What AWS's own tools and clients need to find it and nothing else."""
        return environment_at(self.url)


def environment_at(url: str) -> dict[str, str]:
    """What AWS's own tools and clients need to find the cloud at this address and nothing else."""
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
    """An empty AWS for the length of a with block; on a free port unless one is asked for.

    With enforce_iam the functions run with their own roles and no more: a permission the template forgot fails here.
    """
    port = port or free_port()
    log = STATE / "log" / name / "ministack.log"
    scratch = STATE / "tmp" / f"{name}-{port}"
    # What a killed run left behind: the emulator unpacks every function and layer there.
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
    # The emulator runs functions by the very Python that runs it. A bare one, so that only their own layer can be
    # imported; the emulator's packages are made known to the emulator alone.
    site = next((environment_of("ministack") / "lib").glob("python3*")) / "site-packages"
    starter = "import runpy, sys; sys.path.append(sys.argv.pop()); runpy.run_module('ministack', run_name='__main__')"
    return [str(python_of("runtime")), "-c", starter, str(site)]


def _environment(port: int, scratch: Path) -> dict[str, str]:
    # Functions inherit all of it, so nothing of the caller's own environment is passed on.
    return {
        "PATH": f"{environment_of('runtime') / 'bin'}{os.pathsep}{os.defpath}",
        "HOME": str(scratch),
        "LANG": "C.UTF-8",
        "PYTHONNOUSERSITE": "1",
        "TMPDIR": str(scratch),
        "BIND_HOST": HOST,
        "MINISTACK_HOST": HOST,
        "GATEWAY_PORT": str(port),
        "LAMBDA_EXECUTOR": "local",
        # Both would listen on fixed ports, where a second copy meets the first.
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
    """Whether a GET there is answered with success."""
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def wait_for(url: str, program: Program, seconds: float = READY_SECONDS) -> None:
    """Wait until a program answers, or say which log tells why it doesn't."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        program.require_running()
        if answers(url):
            return
        time.sleep(0.1)
    raise LocalStackError(f"{program.name} did not answer within {seconds:.0f} s, see {shown(program.log)}")
