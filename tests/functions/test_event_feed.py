"""GET /v1/events: what was published of all accounts, page by page, up to half a minute ago."""

from datetime import timedelta
from typing import Any

import pytest

from prepaid.use_cases.following import MAX_HOURS
from tests.support.api import EVENTS, FEED, Answer
from tests.support.gateway_events import ADMIN
from tests.support.handlers import Clock
from tests.support.in_process import Service
from tests.support.publishing import ids, publish_entry

DAY, HOUR, SECOND = timedelta(days=1), timedelta(hours=1), timedelta(seconds=1)


def page(service: Service, **query: str) -> Any:
    answer: Answer = service(FEED, None, query=query, by=ADMIN)
    assert answer.status == 200, answer
    return answer.body


def everything(service: Service, limit: str = "100", after: str = "") -> list[Any]:
    """All pages, as a consumer reads them."""
    found: list[Any] = []
    more = True
    while more:
        got = page(service, limit=limit, **({"after": after} if after else {}))
        found, after, more = found + got["events"], got["next"], got["more"]
    return found


@pytest.fixture
def published(service: Service, clock: Clock) -> Service:
    """Two accounts, published one after the other, a minute ago."""
    service.open(credits=12)
    publish_entry(service, "acme", 1)
    clock.now += SECOND
    service.open("zoo")
    publish_entry(service, "zoo", 1)
    clock.now += SECOND
    service.spend(10)
    publish_entry(service, "acme", 3)
    clock.now += 60 * SECOND
    return service


def test_the_events_of_all_accounts_are_in_one_feed(published: Service) -> None:
    found = everything(published)

    assert [event["subject"] for event in found] == ["acme", "acme", "zoo", "acme", "acme"]
    acme = [event for event in found if event["subject"] == "acme"]
    assert acme == published(EVENTS).body["events"]


@pytest.mark.parametrize("limit", ["1", "3"])
def test_pages_of_the_feed_join_without_gaps(published: Service, limit: str) -> None:
    assert ids(everything(published, limit)) == ids(everything(published))


def test_the_feed_ends_half_a_minute_ago(service: Service, clock: Clock) -> None:
    service.open()
    publish_entry(service, "acme", 1)
    clock.now += 29 * SECOND
    before = page(service, after="2026-06-16T12:00:00.000#")
    clock.now += 2 * SECOND

    after = page(service, after=before["next"])

    assert (before["events"], before["more"]) == ([], False)
    assert len(after["events"]) == 1


def test_a_consumer_that_was_away_for_days_catches_up(published: Service, clock: Clock) -> None:
    first = page(published, limit="1", after="2026-06-16T12:00:00.000#")
    clock.now += 20 * DAY
    published.spend(1)
    publish_entry(published, "acme", 4)
    clock.now += HOUR

    rest = everything(published, after=first["next"])

    assert [event["data"]["entry"] for event in first["events"] + rest if event["subject"] == "acme"] == [1, 2, 3, 3, 4]


def test_a_page_without_events_leads_on(service: Service, clock: Clock) -> None:
    clock.now += 10 * DAY

    empty = page(service, after="2026-06-16T12:00:00.000#")

    assert (empty["events"], empty["more"]) == ([], True)
    assert empty["next"] == f"2026-06-{16 + (12 + MAX_HOURS) // 24}T12:00:00.000#"


@pytest.mark.parametrize("after", ["2999-01-01T00:00:00.000#", "9999-12-31T23:59:59.999#acme#000000000001"])
def test_a_position_in_the_future_waits(service: Service, after: str) -> None:
    assert page(service, after=after) == {"events": [], "next": after, "more": False}


def test_a_position_before_all_time_is_the_oldest(published: Service) -> None:
    assert ids(everything(published, after="0001-01-01T00:00:00.000#")) == ids(everything(published))


@pytest.mark.parametrize("after", ["x", "42", "2026-06-16", "2026-06-16T12:00:00.000", "2026-13-16T12:00:00.000#"])
def test_a_position_that_nobody_gave_is_refused(service: Service, after: str) -> None:
    answer = service(FEED, None, query={"after": after}, by=ADMIN)

    assert (answer.status, answer.code) == (422, "invalid_request")
    assert answer.body["errors"] == [{"field": "after", "message": "must be `next` of an earlier response"}]
