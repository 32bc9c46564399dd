"""Forwards events to an endpoint, signed as in Standard Webhooks, and sends each until the endpoint accepts it.

A file for each endpoint stores the secret and the position, so that a restart continues.
"""

import base64
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import msgspec
from standardwebhooks.webhooks import Webhook

from prepaid_client.cli.following import Followed
from prepaid_client.cli.profile import ProfileError, read_private, write_private
from prepaid_client.sending import USER_AGENT, Send, seconds_asked
from prepaid_client.transports import exchange_once

# As long as the service's own deliverer waits.
ANSWER_SECONDS = 10.0
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
GONE = 410
SECRET_BYTES = 32
SHOWN_CHARACTERS = 120


class EndpointGone(Exception):
    """The endpoint answered 410: it wants no more events."""


@dataclass(frozen=True, kw_only=True)
class ListenState:
    """The file's content. after: a position. accepted: ids of events after it that the endpoint has accepted."""

    service: str
    account: str | None
    forward_to: str
    secret: str
    after: str
    accepted: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One request to the endpoint. status: None without an answer. detail: what went wrong.

    again_in: seconds until the next attempt; None if the endpoint accepted the event or wants no more.
    """

    followed: Followed
    number: int
    status: int | None
    detail: str
    milliseconds: int
    again_in: float | None


def endpoint_of(text: str) -> str:
    """The address in `--forward-to`; http:// by default. Raises ValueError."""
    url = text if "://" in text else f"http://{text}"
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"--forward-to {text!r} is no address such as http://127.0.0.1:8000/hooks")
    if parts.username or parts.password:
        raise ValueError("--forward-to names a user or a password, which other users of this machine could see")
    return url


def new_secret() -> str:
    """A secret that signs events."""
    return f"whsec_{base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()}"


def state_path(folder: Path, service: str, account: str | None, forward_to: str) -> Path:
    """The file for this combination of service, account and endpoint."""
    identity = msgspec.json.encode([service, account, forward_to])
    return folder / f"listen-{sha256(identity).hexdigest()[:12]}.json"


def read_state(path: Path) -> ListenState | None:
    """The stored state; None for the first run. Raises ProfileError."""
    content = read_private(path)
    if content is None:
        return None
    try:
        return msgspec.json.decode(content, type=ListenState)
    except msgspec.MsgspecError as error:
        raise ProfileError(f"{path} is no position: delete it, and run the command again") from error


def write_state(path: Path, state: ListenState) -> None:
    """Store the secret and the position."""
    write_private(path, state)


def attempts(http: httpx.Client, url: str, secret: str, followed: Followed, *, seconds: float) -> Iterator[Attempt]:
    """Send an event until the endpoint accepts it. Each attempt is yielded before the pause that follows it.

    seconds: the longest wait for an answer. Raises EndpointGone after an answer of 410.
    """
    number = 0
    while True:
        number += 1
        began = time.monotonic()
        outcome = exchange_once(http, Send(_request(url, secret, followed), seconds))
        milliseconds = round((time.monotonic() - began) * 1000)
        accepted = isinstance(outcome, httpx.Response) and outcome.is_success
        gone = isinstance(outcome, httpx.Response) and outcome.status_code == GONE
        pause = None if accepted or gone else _pause(number, outcome)
        yield Attempt(
            followed=followed,
            number=number,
            status=outcome.status_code if isinstance(outcome, httpx.Response) else None,
            detail="" if accepted else _detail(outcome, seconds),
            milliseconds=milliseconds,
            again_in=pause,
        )
        if gone:
            raise EndpointGone
        if pause is None:
            return
        time.sleep(pause)


def _request(url: str, secret: str, followed: Followed) -> httpx.Request:
    now, event_id = datetime.now(UTC), followed.event.id
    headers = {
        "Content-Type": "application/json",
        "User-Agent": USER_AGENT,
        "webhook-id": event_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign(event_id, now, followed.text),
    }
    return httpx.Request("POST", url, headers=headers, content=followed.text.encode())


def _pause(number: int, outcome: httpx.Response | httpx.RequestError) -> float:
    requested = seconds_asked(outcome) if isinstance(outcome, httpx.Response) else None
    return max(requested or 0.0, min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(number - 1, 10)))


def _detail(outcome: httpx.Response | httpx.RequestError, seconds: float) -> str:
    """The error in one line, without characters of the endpoint's text that could control the terminal."""
    if isinstance(outcome, httpx.TimeoutException):
        return f"no response within {seconds:g} s"
    if isinstance(outcome, httpx.RequestError):
        return f"no answer ({type(outcome).__name__})"
    text = "".join(character if character.isprintable() else " " for character in outcome.text)
    return " ".join(text.split())[:SHOWN_CHARACTERS]
