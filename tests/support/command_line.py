"""`prepaid` as its user runs it, with a profile of its own."""

import contextlib
import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from prepaid_client.cli.commands import app
from tests.support.api import CLIENTS
from tests.support.bridge import token


@dataclass(frozen=True)
class CommandLine:
    """environment: besides that of the tests."""

    environment: dict[str, str | None]

    @property
    def profile(self) -> Path:
        return Path(str(self.environment["PREPAID_PROFILE"]))

    def __call__(self, *arguments: str, typed: str = "", exits: int = 0, **environment: str) -> Result:
        """Run a command. typed: what the user types. exits: the code with which it must end."""
        result = CliRunner().invoke(app, arguments, input=typed, env={**self.environment, **environment})
        assert result.exit_code == exits, (result.output, result.exception)
        return result

    def json(self, *arguments: str) -> Any:
        """What a command prints for programs."""
        return json.loads(self(*arguments, "--json").stdout)


def command_line(folder: Path) -> CommandLine:
    """Nobody is logged in."""
    names = ("PREPAID_URL", "PREPAID_TOKEN", "PREPAID_TOKEN_URL", "PREPAID_CLIENT_ID", "PREPAID_CLIENT_SECRET")
    return CommandLine({**dict.fromkeys(names), "PREPAID_PROFILE": str(folder / "config" / "profile.json")})


def logged_in(folder: Path, url: str) -> CommandLine:
    """Logged in as all clients of the service at this address."""
    prepaid = command_line(folder)
    tokens = {name: token(claims) for name, claims in CLIENTS.items()}
    file = folder / "stack.json"
    file.write_text(json.dumps({"api_url": url, "aws_endpoint_url": "http://127.0.0.1:1", "tokens": tokens}))
    prepaid("login", "--file", str(file))
    return prepaid


CONTROLS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
# The installed program.
PROGRAM = str(Path(sys.executable).with_name("prepaid"))


def in_a_terminal(*arguments: str, environment: Mapping[str, str], columns: int = 40) -> str:
    """What the installed program prints on a terminal of this width, without colours and movements of the cursor."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with (
        os.fdopen(ours, "rb", buffering=0) as terminal,
        subprocess.Popen(
            [PROGRAM, *arguments],
            env={**os.environ, "TERM": "xterm", **environment},
            stdin=its,
            stdout=its,
            stderr=its,
        ),
    ):
        os.close(its)
        text = b""
        # Linux reports the end of a terminal's last program as an error.
        with contextlib.suppress(OSError):
            while read := terminal.read(4096):
                text += read
    return CONTROLS.sub("", text.decode()).replace("\r\n", "\n")


def rows(text: str) -> list[list[str]]:
    """The words of each line that isn't empty."""
    return [line.split() for line in text.splitlines() if line.strip()]
