"""`prepaid events`: what happens, as it happens; and a webhook for an endpoint on this machine."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Annotated

import httpx
import typer

from prepaid_client import Prepaid, Unavailable
from prepaid_client.cli.following import Followed, Page, first_position, follow
from prepaid_client.cli.listening import (
    ANSWER_SECONDS,
    Attempt,
    EndpointGone,
    ListenState,
    attempts,
    endpoint_of,
    new_secret,
    read_state,
    state_path,
    write_state,
)
from prepaid_client.cli.printing import print_facts, print_json_line, print_line, print_text_line
from prepaid_client.cli.profile import path_of
from prepaid_client.cli.running import REFUSED, AsJson, say, service
from prepaid_client.sending import is_local

events_app = typer.Typer(no_args_is_help=True, help="Events and alerts, as they happen.")

HEADINGS = ("at (UTC)", "account", "event", "entry", "feature", "credits", "available", "")
WIDTHS = (19, 16, 24, 6, 12, 8, 10, 0)
# Members that only some events have.
DETAILS = ("owed", "lot", "purchase", "days", "threshold", "limit", "used", "remaining")

AfterPosition = Annotated[
    str | None,
    typer.Option(
        "--after",
        help="Where to begin: a time, or a printed position; with --account, the number of an entry. "
        "0 is the first event; default: now.",
    ),
]
OneAccount = Annotated[
    str | None,
    typer.Option("--account", help="Only this account, without delay. Without it, all accounts, half a minute late."),
]
Waits = Annotated[bool, typer.Option("--follow/--no-follow", help="Wait for further events, until Ctrl-C.")]


@events_app.command()
def tail(account: OneAccount = None, after: AfterPosition = None, wait: Waits = True, as_json: AsJson = False) -> None:
    """Print events as they happen. With --json, each is a line."""
    with interruptible(), service(_scope(account), as_json) as client:
        position = first_position(client, account, after)
        read_until: str | None = None
        if not as_json:
            print_line(*zip(HEADINGS, WIDTHS, strict=True))
        try:
            for page in follow(client, account, position, wait=wait, on_trouble=_trouble_printer(as_json=as_json)):
                for followed in page.events:
                    _print_event(followed, as_json=as_json)
                read_until = page.next
        finally:
            if read_until is not None:
                say(f"continue with --after '{read_until}'", {"next": read_until}, as_json=as_json)


@events_app.command()
def listen(
    forward_to: Annotated[str, typer.Option(help="Your endpoint, such as http://127.0.0.1:8000/hooks.")],
    account: OneAccount = None,
    after: AfterPosition = None,
    wait: Waits = True,
    as_json: AsJson = False,
) -> None:
    """Send each event to an endpoint, signed as the service's own webhook, until the endpoint accepts it.

    The command shows the secret once. It stores the secret and its position, so the same command continues where it
    stopped; --after begins elsewhere. An endpoint that returns 410 ends the command with exit code 1.
    """
    with interruptible(), service(_scope(account), as_json) as client:
        forward_to = endpoint_of(forward_to)
        path = state_path(path_of(os.environ).parent, client.transport.url, account, forward_to)
        stored = read_state(path)
        state = _first_state(client, account, after, forward_to, stored)
        pages = follow(client, account, state.after, wait=wait, on_trouble=_trouble_printer(as_json=as_json))
        # Don't store a position that the service refuses: the next start would fail too.
        first = next(pages)
        write_state(path, state)
        _announce(state, path, is_new=stored is None, as_json=as_json)
        with httpx.Client(trust_env=not is_local(forward_to)) as http:
            try:
                for page in chain([first], pages):
                    state = _forward(http, page, state, path, as_json=as_json)
            except EndpointGone:
                text = "the endpoint returned 410: it receives no more events"
                say(text, {"detail": text}, as_json=as_json)
                raise typer.Exit(REFUSED) from None


@contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C ends a command that would run forever, with exit code 0."""
    try:
        yield
    except KeyboardInterrupt:
        raise typer.Exit from None


def _scope(account: str | None) -> str:
    return "admin" if account is None else "read"


def _trouble_printer(*, as_json: bool) -> Callable[[Unavailable], None]:
    """A function that prints that the service doesn't answer at the moment."""
    return lambda error: say(f"{error.args[0]}; retrying", {"detail": str(error)}, as_json=as_json)


def _first_state(
    client: Prepaid, account: str | None, after: str | None, forward_to: str, stored: ListenState | None
) -> ListenState:
    """The state to begin with: at `after`; else where the last run stopped; else now."""
    if stored is None or after is not None:
        return ListenState(
            service=client.transport.url,
            account=account,
            forward_to=forward_to,
            secret=stored.secret if stored else new_secret(),
            after=first_position(client, account, after),
        )
    if account is None:
        return stored
    # A local stack that was started anew has fewer entries than the previous one.
    newest = first_position(client, account, None)
    return stored if int(stored.after) <= int(newest) else replace(stored, after=newest, accepted=())


def _announce(state: ListenState, path: Path, *, is_new: bool, as_json: bool) -> None:
    if as_json:
        secret = state.secret if is_new else None
        print_json_line({"forward_to": state.forward_to, "after": state.after, "secret": secret, "kept_in": str(path)})
        return
    print_facts(
        ("forwarding to", state.forward_to),
        ("events of", state.account or "all accounts, half a minute after they happen"),
        ("after", state.after),
        ("secret", state.secret if is_new else "as it was shown before"),
        ("kept in", path),
        ("", "Ctrl-C stops; the same command continues."),
    )


def _forward(http: httpx.Client, page: Page, state: ListenState, path: Path, *, as_json: bool) -> ListenState:
    """Send a page's events that the endpoint hasn't accepted yet, and store each step. Raises EndpointGone."""
    for followed in page.events:
        if followed.event.id in state.accepted:
            continue
        for attempt in attempts(http, state.forward_to, state.secret, followed, seconds=ANSWER_SECONDS):
            _print_attempt(attempt, as_json=as_json)
        state = replace(state, accepted=(*state.accepted, followed.event.id))
        write_state(path, state)
    if page.next != state.after:
        state = replace(state, after=page.next, accepted=())
        write_state(path, state)
    return state


def _print_attempt(attempt: Attempt, *, as_json: bool) -> None:
    event = attempt.followed.event
    if as_json:
        of_event = {"id": event.id, "type": event.type, "account": event.subject, "entry": event.data.entry}
        of_attempt = {
            "attempt": attempt.number,
            "status": attempt.status,
            "detail": attempt.detail or None,
            "milliseconds": attempt.milliseconds,
            "again_in": attempt.again_in,
        }
        print_json_line({**of_event, **of_attempt})
        return
    next_attempt = "" if attempt.again_in is None else f"again in {attempt.again_in:g} s"
    print_line(
        (f"{datetime.now():%H:%M:%S}", 8),  # noqa: DTZ005 - on the user's own clock
        (attempt.status or "-", 3),
        (f"{attempt.milliseconds} ms", 8),
        (event.subject, 16),
        (_name(event.type), 24),
        (event.data.entry, 6),
        (event.id, 30),
        ("; ".join(text for text in (attempt.detail, next_attempt) if text), 0),
    )


def _print_event(followed: Followed, *, as_json: bool) -> None:
    if as_json:
        print_text_line(followed.text)
        return
    event = followed.event
    data = event.data
    details = ((name, getattr(data, name)) for name in DETAILS)
    values = (
        f"{event.time:%Y-%m-%d %H:%M:%S}",
        event.subject,
        _name(event.type),
        data.entry,
        data.feature,
        data.credits,
        data.balance and data.balance.available,
        ", ".join(f"{name} {value}" for name, value in details if value),
    )
    print_line(*zip(values, WIDTHS, strict=True))


def _name(event_type: str) -> str:
    """The type without the prefix that all types share."""
    return event_type.removeprefix("prepaid.")
