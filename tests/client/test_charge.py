"""`charge`: nothing runs without a hold, and whatever happens to the function, its work is charged at most once."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from datetime import timedelta
from typing import Any

import pytest

from prepaid_client import AsyncPrepaid, IdempotencyKeyReused, InsufficientCredits, Prepaid, Unavailable
from tests.support.bridge import token
from tests.support.charged import TERMS, Job, charges, credits_of, run
from tests.support.failing_line import FailingLine, Lost, NotSent
from tests.support.gateway_events import ANYBODY
from tests.support.handlers import Clock
from tests.support.served import KINDS, Served


class Broken(Exception):
    """The job failed."""


@pytest.mark.parametrize("kind", KINDS)
def test_a_result_is_charged(shop: Served, kind: str) -> None:
    result = run(shop, kind, lambda job: (job.id, credits_of(shop)))

    assert result == ("4711", (7, 3))
    assert credits_of(shop) == (7, 0)
    assert [entry["reference"] for entry in shop.service.history(reference="4711")]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("error", [Broken, KeyboardInterrupt, SystemExit])
def test_a_failure_charges_nothing(shop: Served, kind: str, error: type[BaseException]) -> None:
    def fails(_job: Job) -> None:
        raise error

    with pytest.raises(error):
        run(shop, kind, fails)

    assert credits_of(shop) == (10, 0)
    assert charges(shop) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_job_that_failed_is_charged_when_it_succeeds(shop: Served, kind: str) -> None:
    def fails(_job: Job) -> None:
        raise Broken

    for _ in range(2):
        with pytest.raises(Broken):
            run(shop, kind, fails)
    run(shop, kind, lambda job: job)

    assert credits_of(shop) == (7, 0)
    assert charges(shop) == ["capture"]


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_runs_that_cannot_be_paid(shop: Served, kind: str) -> None:
    ran: list[Job] = []

    with pytest.raises(InsufficientCredits):
        run(shop, kind, ran.append, Job(stickers=11))
    with pytest.raises(Unavailable):
        run(shop, kind, ran.append, line=FailingLine([NotSent()], forever=True), deadline=0.5)

    assert ran == []
    assert credits_of(shop) == (10, 0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_job_delivered_twice_is_charged_once(shop: Served, kind: str) -> None:
    results = [run(shop, kind, lambda job: job.id), run(shop, kind, lambda job: job.id)]

    assert results == ["4711", "4711"]
    assert credits_of(shop) == (7, 0)
    assert charges(shop) == ["capture"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_job_delivered_twice_at_once_is_charged_once(shop: Served, kind: str) -> None:
    """The second delivery begins and ends while the first one runs."""
    inner: list[str] = []

    def outer(job: Job) -> str:
        inner.append(run(shop, "sync", lambda job: job.id))
        return job.id

    if kind == "sync":
        run(shop, kind, outer)
    else:
        with shop.client() as client:
            client.charge("sticker", **TERMS)(outer)(Job())

    assert inner == ["4711"]
    assert credits_of(shop) == (7, 0)
    assert charges(shop) == ["capture"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_failed_second_delivery_keeps_the_first_ones_charge(shop: Served, kind: str) -> None:
    """The deliveries share a hold, so the failed one releases it. The other one is charged as a consumption."""

    def fails(_job: Job) -> None:
        raise Broken

    def outer(job: Job) -> str:
        with pytest.raises(Broken), shop.client() as client:
            client.charge("sticker", **TERMS)(fails)(job)
        return job.id

    run(shop, kind, outer)

    assert credits_of(shop) == (7, 0)
    assert charges(shop) == ["consumption"]


@pytest.mark.parametrize("kind", KINDS)
def test_work_that_outlasts_its_hold_is_charged(shop: Served, kind: str, clock: Clock) -> None:
    def slow(_job: Job) -> None:
        clock.now += timedelta(seconds=61)

    run(shop, kind, slow)

    assert credits_of(shop) == (7, 0)
    assert charges(shop) == ["consumption"]


@pytest.mark.parametrize("kind", KINDS)
def test_two_slow_deliveries_are_charged_once(shop: Served, kind: str, clock: Clock) -> None:
    """The first one's hold lapses while it works. The second one gets a hold of its own, and is done before it."""

    def slow(job: Job) -> None:
        clock.now += timedelta(seconds=61)
        with shop.client() as client:
            client.charge("sticker", **TERMS)(lambda job: job)(job)

    run(shop, kind, slow)

    assert credits_of(shop) == (7, 0)
    assert charges(shop) == ["capture"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_of_two_slow_deliveries_charges(shop: Served, kind: str, clock: Clock) -> None:
    """The second delivery finds the charge, and gives its own hold back."""

    def late(_job: Job) -> None:
        with shop.client() as client:
            client.account("acme").consume("sticker", 3, key="sticker-4711", reference="4711")

    def outer(job: Job) -> None:
        clock.now += timedelta(seconds=61)
        with shop.client() as client:
            client.charge("sticker", **TERMS)(late)(job)

    run(shop, kind, outer)

    assert credits_of(shop) == (7, 0)
    assert charges(shop) == ["consumption"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_result_that_cannot_be_charged_is_not_returned(shop: Served, kind: str, clock: Clock) -> None:
    """The hold lapsed, and somebody else spent the credits."""

    def slow(_job: Job) -> str:
        clock.now += timedelta(seconds=61)
        shop.service.spend(8)
        return "a sticker"

    with pytest.raises(InsufficientCredits):
        run(shop, kind, slow)

    assert credits_of(shop) == (2, 0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_lost_capture_is_told_and_found_again(shop: Served, kind: str) -> None:
    with pytest.raises(Unavailable) as lost:
        run(shop, kind, lambda job: job, line=FailingLine([None, Lost()], forever=True), deadline=0.5)

    run(shop, kind, lambda job: job)

    assert lost.value.may_have_happened
    assert lost.value.key == "sticker-4711"
    assert charges(shop) == ["capture"]


@pytest.mark.parametrize("kind", KINDS)
def test_jobs_that_share_a_key_by_mistake_are_told_apart(shop: Served, kind: str) -> None:
    ran: list[Job] = []
    run(shop, kind, ran.append, Job(stickers=3))

    with pytest.raises(IdempotencyKeyReused):
        run(shop, kind, ran.append, Job(stickers=4))

    assert len(ran) == 1


def test_a_cancelled_task_charges_nothing(shop: Served) -> None:
    async def main() -> None:
        async with AsyncPrepaid(shop.url, token(ANYBODY), transport=FailingLine()) as client:

            @client.charge("sticker", **TERMS)
            async def forever(_job: Job) -> None:
                begun.set()
                await asyncio.sleep(60)

            begun = asyncio.Event()
            task = asyncio.ensure_future(forever(Job()))
            await begun.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(main())

    assert credits_of(shop) == (10, 0)


def test_only_functions_that_end_can_be_charged() -> None:
    async def plain(job: Job) -> None: ...
    def generator(job: Job) -> Iterator[Job]:
        yield job

    async def async_generator(job: Job) -> AsyncIterator[Job]:
        yield job

    def not_async(job: Job) -> Coroutine[Any, Any, None]:
        raise NotImplementedError

    client, async_client = Prepaid("https://localhost", "token"), AsyncPrepaid("https://localhost", "token")

    for function in (plain, generator, async_generator):
        with pytest.raises(TypeError, match="must be a plain function"):
            client.charge("sticker", **TERMS)(function)
    for other in (not_async, generator, async_generator):
        with pytest.raises(TypeError, match="must be an async function"):
            async_client.charge("sticker", **TERMS)(other)  # type: ignore[arg-type]
    client.close()
    asyncio.run(async_client.close())
