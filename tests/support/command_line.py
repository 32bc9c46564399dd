"""`prepaid` as its user runs it, with a profile of its own."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from prepaid_client.cli.commands import app


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
