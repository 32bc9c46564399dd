"""Follows events: those of all accounts from the service's feed, or those of one account from its ledger."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, cast

import msgspec

from prepaid_client import Prepaid, Unavailable, calls
from prepaid_client.calls import Call, Parse
from prepaid_client.responses import EventsFeed, EventsPage, ListedEvent

POLL_SECONDS = 2.0
PAGE_LIMIT = 100
# `--after` for all events, from the first one.
FIRST = "0"


@dataclass(frozen=True, kw_only=True)
class Followed:
    """An event. text: as JSON, with the members of the service and without spaces."""

    event: ListedEvent
    text: str


@dataclass(frozen=True, kw_only=True)
class Page:
    """Events in their order. next: the position after them."""

    events: tuple[Followed, ...]
    next: str
    more: bool


class _Texts(msgspec.Struct):
    events: list[msgspec.Raw]


def first_position(client: Prepaid, account: str | None, after: str | None) -> str:
    """The position of `--after`; the current position without it. Raises ValueError, Refused, Unavailable.

    For one account, a position is the number of an entry. For all accounts, it is a `next` of the service, or a time.
    """
    if account is not None:
        if after is None:
            return str(client.account(account).get_balance().entry)
        if not (after.isascii() and after.isdigit()):
            raise ValueError("--after is the number of an entry, or 0 for the first one")
        return after
    if after is None:
        return _position_at(datetime.now(UTC))
    try:
        at = datetime.fromisoformat(after)
    except ValueError:
        # The service decides whether it is a valid position.
        return after
    if at.tzinfo is None:
        raise ValueError(f"the time {after} has no time zone, such as Z")
    return _position_at(at)


def follow(
    client: Prepaid, account: str | None, after: str, *, wait: bool, on_trouble: Callable[[Unavailable], None]
) -> Iterator[Page]:
    """Each page from position `after` on. wait: whether to wait for new events, until the caller stops.

    If the service stops answering after its first answer, `on_trouble` is called and the page is requested again.
    Raises Refused; Unavailable before the first answer.
    """
    answered = False
    while True:
        try:
            page = client.transport.send(_call(account, after))
        except Unavailable as error:
            if not (wait and answered):
                raise
            on_trouble(error)
            time.sleep(POLL_SECONDS)
            continue
        answered = True
        yield page
        after = page.next
        if page.more:
            continue
        if not wait:
            return
        time.sleep(POLL_SECONDS)


def _call(account: str | None, after: str) -> Call[Page]:
    if account is None:
        feed = calls.list_events(after=None if after == FIRST else after, limit=PAGE_LIMIT)
        return replace(cast("Call[Any]", feed), shape=Page, parse=_page_of(feed.parse, lambda page: page.more))
    ledger = calls.list_events_of_account(account, after=int(after), limit=PAGE_LIMIT)
    # At the end of a ledger, `next` stays the same.
    parse = _page_of(ledger.parse, lambda page: str(page.next) != after)
    return replace(cast("Call[Any]", ledger), shape=Page, parse=parse)


def _page_of[L: (EventsFeed, EventsPage)](parse: Parse[L], has_more: Callable[[L], bool]) -> Parse[Page]:
    def page(content: bytes) -> Page:
        listed = parse(content)
        texts = msgspec.json.decode(content, type=_Texts).events
        events = (
            Followed(event=event, text=msgspec.json.format(bytes(text), indent=-1).decode())
            for event, text in zip(listed.events, texts, strict=True)
        )
        return Page(events=tuple(events), next=str(listed.next), more=has_more(listed))

    return page


def _position_at(at: datetime) -> str:
    return f"{at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='milliseconds')}#"
