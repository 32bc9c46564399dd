"""Holds as context managers: what a block doesn't capture comes back."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from prepaid_client import HoldLapsed, InsufficientCredits, InvalidRequest, Unavailable
from tests.support.failing_line import FailingLine, Lost, NotSent
from tests.support.handlers import Clock
from tests.support.served import KINDS, Served


class Broken(Exception):
    """The work of a block failed."""


def credits_of(shop: Served) -> tuple[int, int]:
    """Available and held."""
    found = shop.service.balance()["credits"]
    return found["available"], found["held"]


def with_hold(kind: str, work: Any, *, key: str = "job-1", quantity: int = 4) -> Any:
    """A function of an account that runs `work(hold)` in a hold's block. For the async client, work is awaited."""

    def block(acme: Any) -> Any:
        with acme.hold("sticker", quantity, key=key, ttl_seconds=60) as hold:
            return work(hold)

    async def async_block(acme: Any) -> Any:
        async with acme.hold("sticker", quantity, key=key, ttl_seconds=60) as hold:
            result = work(hold)
            return await result if asyncio.iscoroutine(result) else result

    return block if kind == "sync" else async_block


@pytest.mark.parametrize("kind", KINDS)
def test_a_capture_charges_what_was_used(shop: Served, kind: str) -> None:
    capture = shop.ask(kind, with_hold(kind, lambda hold: hold.capture(3)))

    assert (capture.quantity, credits_of(shop)) == (3, (7, 0))


@pytest.mark.parametrize("kind", KINDS)
def test_a_block_without_a_capture_charges_nothing(shop: Served, kind: str) -> None:
    seen = shop.ask(kind, with_hold(kind, lambda hold: (credits_of(shop), hold.placed.quantity)))

    assert seen == ((6, 4), 4)
    assert credits_of(shop) == (10, 0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_hold_shows_its_id_and_whether_it_is_open(shop: Served, kind: str) -> None:
    hold, shown = shop.ask(kind, with_hold(kind, lambda hold: (hold, repr(hold))))

    assert shown.endswith(f"Hold({hold.placed.id}, open)")
    assert repr(hold).endswith(f"Hold({hold.placed.id}, ended)")


@pytest.mark.parametrize("kind", KINDS)
def test_an_exception_releases_the_hold(shop: Served, kind: str) -> None:
    def breaks(hold: object) -> None:
        raise Broken

    with pytest.raises(Broken):
        shop.ask(kind, with_hold(kind, breaks))

    assert credits_of(shop) == (10, 0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_release_that_fails_does_not_hide_the_exception(
    shop: Served, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    def breaks(hold: object) -> None:
        raise Broken

    with pytest.raises(Broken):
        shop.ask(kind, with_hold(kind, breaks), line=FailingLine([None, NotSent()], forever=True), deadline=0.5)

    assert "was not released and lapses at" in caplog.text
    assert credits_of(shop) == (6, 4)


@pytest.mark.parametrize("kind", KINDS)
def test_a_block_never_begins_without_a_hold(shop: Served, kind: str) -> None:
    begun: list[object] = []

    with pytest.raises(InsufficientCredits):
        shop.ask(kind, with_hold(kind, begun.append, quantity=11))
    with pytest.raises(Unavailable):
        shop.ask(kind, with_hold(kind, begun.append), line=FailingLine([NotSent()], forever=True), deadline=0.5)

    assert begun == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_refused_capture_releases_the_hold(shop: Served, kind: str) -> None:
    with pytest.raises(InvalidRequest):
        shop.ask(kind, with_hold(kind, lambda hold: hold.capture(5)))

    assert credits_of(shop) == (10, 0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_capture_whose_answer_is_lost_is_not_released(shop: Served, kind: str) -> None:
    line = FailingLine([None, Lost()], forever=True)

    with pytest.raises(Unavailable) as lost:
        shop.ask(kind, with_hold(kind, lambda hold: hold.capture(3)), line=line, deadline=0.5)

    assert (lost.value.may_have_happened, lost.value.key) == (True, "job-1")
    assert {request.url.path.rpartition("/")[2] for request in line.requests} == {"holds", "capture"}
    assert credits_of(shop) == (7, 0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_hold_that_lapsed_cannot_be_captured(shop: Served, kind: str, clock: Clock) -> None:
    def late(hold: Any) -> Any:
        clock.now += timedelta(seconds=60)
        return hold.capture()

    with pytest.raises(HoldLapsed) as lapsed:
        shop.ask(kind, with_hold(kind, late))

    assert lapsed.value.lapsed_at == clock.now
    assert credits_of(shop) == (10, 0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_work_tried_again_gets_a_new_hold(shop: Served, kind: str, clock: Clock) -> None:
    def breaks(hold: object) -> None:
        raise Broken

    for _ in range(3):
        with pytest.raises(Broken):
            shop.ask(kind, with_hold(kind, breaks))
    capture = shop.ask(kind, with_hold(kind, lambda hold: hold.capture()))

    assert capture.quantity == 4
    assert credits_of(shop) == (6, 0)


def test_a_work_delivered_twice_shares_its_hold(shop: Served) -> None:
    with shop.client() as client:
        acme = client.account("acme")
        with acme.hold("sticker", 4, key="job-1") as first, acme.hold("sticker", 4, key="job-1") as second:
            shared = first.placed.id == second.placed.id
            held = credits_of(shop)
            captures = second.capture(), first.capture()

    assert (shared, held) == (True, (6, 4))
    assert [capture.replayed for capture in captures] == [False, True]
    assert credits_of(shop) == (6, 0)
