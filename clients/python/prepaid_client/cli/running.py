"""Runs a command: opens its client, and turns errors into messages and exit codes.

Exit codes: 0 done, 1 the service refused, 2 trouble (no answer, no login, wrong arguments).
"""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated

import msgspec
import typer

from prepaid_client import Prepaid, PrepaidError, Refused, Unauthorized, Unavailable
from prepaid_client.cli.profile import ProfileError, open_client

REFUSED, TROUBLE = 1, 2

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
AccountId = Annotated[str, typer.Argument(help="The account's id.")]


@contextmanager
def service(scope: str, as_json: bool) -> Iterator[Prepaid]:
    """A client with this scope. Errors end the command with their exit code and a line on stderr."""
    with reporting(as_json), open_client(scope) as client:
        yield client


@contextmanager
def reporting(as_json: bool) -> Iterator[None]:
    """Turn errors into exit codes. as_json: describe them as JSON too."""
    try:
        yield
    except BrokenPipeError:
        # The reader of a pipe has closed it: typer ends the command silently.
        raise
    except Refused as error:
        say(f"{error}{_hint(error)}", error.problem, as_json=as_json)
        raise typer.Exit(REFUSED) from error
    except Unavailable as error:
        described = {"detail": str(error), "key": error.key, "may_have_happened": error.may_have_happened}
        say(str(error), described, as_json=as_json)
        raise typer.Exit(TROUBLE) from error
    except (PrepaidError, ProfileError, ValueError, OSError) as error:
        say(str(error), {"detail": str(error)}, as_json=as_json)
        raise typer.Exit(TROUBLE) from error


def _hint(error: Refused) -> str:
    """Advice for a refusal whose own text doesn't say what to do."""
    if isinstance(error, Unauthorized):
        return " (run 'prepaid login' again, or set PREPAID_TOKEN anew)"
    return "" if error.code or error.detail else "(no answer of the service: is the address its ApiUrl?)"


def say(text: str, described: Mapping[str, object], *, as_json: bool) -> None:
    """Print a line on stderr: `text` for people, or `described` as JSON."""
    line = msgspec.json.encode(described).decode() if as_json else f"prepaid: {text}"
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - the program's output
