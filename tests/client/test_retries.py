"""What the client does when requests and answers are lost: it retries with the same key, and charges once."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import httpx
import pytest

from prepaid_client import (
    CodeLocked,
    Forbidden,
    PaymentProviderRefused,
    Prepaid,
    Unauthorized,
    Unavailable,
    UnexpectedResponse,
    VersionConflict,
)
from tests.support.api import CLIENTS, CODE
from tests.support.bridge import token
from tests.support.failing_line import Answered, FailingLine, Fault, Lost, NotSent
from tests.support.served import KINDS, Served

BUSY = Answered(503, (("retry-after", "1"),), b'{"code": "busy", "status": 503}')
GATEWAY = Answered(503)
HTML = Answered(502, (("content-type", "text/html"),), b"<html>Bad Gateway</html>")


def charge(shop: Served, kind: str, line: FailingLine, *, deadline: float = 20.0) -> object:
    return shop.ask(kind, lambda acme: acme.consume("sticker", 3, key="job-1"), line=line, deadline=deadline)


def keys(line: FailingLine) -> set[str]:
    return {request.headers["idempotency-key"] for request in line.requests}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "faults",
    [
        [Lost()],
        [Lost(httpx.RemoteProtocolError)],
        [Lost(httpx.ReadError), NotSent(), GATEWAY],
        [NotSent(httpx.ConnectTimeout)],
        [HTML, Lost(), Answered(429)],
        [Answered(500), Answered(504), Answered(408)],
    ],
    ids=lambda faults: "-".join(type(fault).__name__ for fault in faults),
)
def test_whatever_is_lost_is_charged_once(shop: Served, kind: str, faults: list[Fault]) -> None:
    line = FailingLine(faults)

    charge(shop, kind, line)

    assert len(line.requests) == len(faults) + 1
    assert keys(line) == {"job-1"}
    assert shop.service.balance()["credits"]["available"] == 7


@pytest.mark.parametrize("kind", KINDS)
def test_a_lost_answer_is_replayed(shop: Served, kind: str) -> None:
    answer = charge(shop, kind, FailingLine([Lost()]))

    assert answer.replayed  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", KINDS)
def test_a_busy_service_gets_the_time_it_asks_for(shop: Served, kind: str) -> None:
    began = time.monotonic()

    charge(shop, kind, FailingLine([BUSY]))

    assert 1.0 < time.monotonic() - began < 3.0


@pytest.mark.parametrize("kind", KINDS)
def test_a_wait_beyond_the_deadline_is_raised_at_once(shop: Served, kind: str) -> None:
    busy = Answered(503, (("retry-after", "60"),), b'{"code": "busy"}')
    line = FailingLine([busy])
    began = time.monotonic()

    with pytest.raises(Unavailable) as raised:
        charge(shop, kind, line)

    assert (raised.value.code, raised.value.retry_after, len(line.requests)) == ("busy", 60.0, 1)
    assert time.monotonic() - began < 3.0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("fault", "may_have_happened"), [(Lost(), True), (GATEWAY, True), (NotSent(), False)])
def test_the_deadline_ends_all_retries(shop: Served, kind: str, fault: Fault, may_have_happened: bool) -> None:
    line = FailingLine([fault], forever=True)
    began = time.monotonic()

    with pytest.raises(Unavailable) as raised:
        charge(shop, kind, line, deadline=1.5)

    assert time.monotonic() - began < 2.5
    assert len(line.requests) > 1
    assert (raised.value.may_have_happened, raised.value.key) == (may_have_happened, "job-1")
    assert ("It may have happened" if may_have_happened else "Nothing happened") in str(raised.value)
    assert "Retry later with the same key: job-1." in str(raised.value)


@pytest.mark.parametrize("kind", KINDS)
def test_one_attempt_that_may_have_happened_is_remembered(shop: Served, kind: str) -> None:
    with pytest.raises(Unavailable) as raised:
        charge(shop, kind, FailingLine([Lost(), NotSent()], forever=True), deadline=1.5)

    assert raised.value.may_have_happened
    assert shop.service.balance()["credits"]["available"] == 7


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_refused_after_a_lost_answer_is_no_refusal(shop: Served, kind: str) -> None:
    """The gateway doesn't know whether the first attempt charged: it did."""
    with pytest.raises(Unavailable) as raised:
        charge(shop, kind, FailingLine([Lost(), Answered(401)]))

    assert raised.value.may_have_happened


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("status", "error"), [(401, Unauthorized), (403, Forbidden)])
def test_what_the_gateway_refuses_is_not_retried(shop: Served, kind: str, status: int, error: type[Exception]) -> None:
    line = FailingLine([Answered(status, content=b'{"message": "No"}')])

    with pytest.raises(error):
        charge(shop, kind, line)

    assert len(line.requests) == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "answer",
    [
        Answered(200, content=b"<html>Sign in to the Wi-Fi</html>"),
        Answered(201, content=b'{"id": "con_1"}'),
        Answered(201, content=b"\xff"),
        Answered(301, (("location", "https://elsewhere.example.com/"),)),
        Answered(501),
    ],
    ids=lambda answer: str(answer.status),
)
def test_an_answer_of_something_else_is_no_charge(shop: Served, kind: str, answer: Answered) -> None:
    line = FailingLine([answer])

    with pytest.raises(UnexpectedResponse, match=str(answer.status)):
        charge(shop, kind, line)

    assert len(line.requests) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_slow_answer_ends_at_the_deadline(shop: Served, kind: str) -> None:
    def slow(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=drip() if kind == "sync" else drip_async())

    def drip() -> Iterator[bytes]:
        for _ in range(100):
            time.sleep(0.05)
            yield b" "

    async def drip_async() -> AsyncIterator[bytes]:
        for _ in range(100):
            await asyncio.sleep(0.05)
            yield b" "

    began = time.monotonic()
    with pytest.raises(Unavailable):
        shop.ask(kind, lambda acme: acme.get_balance(), line=httpx.MockTransport(slow), deadline=0.5)

    assert time.monotonic() - began < 1.5


@pytest.mark.parametrize("kind", KINDS)
def test_what_stripe_rejects_waits_for_a_person(shop: Served, kind: str) -> None:
    line = FailingLine([Answered(502, content=b'{"code": "payment_provider_refused", "detail": "No."}')])

    with pytest.raises(PaymentProviderRefused):
        shop.ask(kind, lambda acme: acme.cancel_purchase("pur_1", key="k"), by="storefront", line=line)

    assert len(line.requests) == 1


def test_a_proxy_for_the_internet_is_not_asked_for_this_machine(shop: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")

    with Prepaid(shop.url, token(CLIENTS["service"]), deadline=5) as client:
        available = client.account("acme").get_balance().credits.available

    assert available == 10


def test_a_locked_code_waits_for_a_person(shop: Served) -> None:
    shop.service.set_code()
    for number in range(5):
        shop.service.try_code("000000", key=f"try-{number}")
    line = FailingLine()

    with pytest.raises(CodeLocked) as locked:
        shop.ask("sync", lambda acme: acme.open_manager_session(CODE, key="s"), by="storefront", line=line)

    assert len(line.requests) == 1
    assert locked.value.retry_after


def test_a_lost_change_of_the_catalog_is_repeated(shop: Served) -> None:
    with shop.client("admin", line=FailingLine([None, Lost()])) as admin:
        catalog = admin.get_catalog()
        changed = admin.put_catalog(catalog)

        with pytest.raises(VersionConflict):
            admin.put_catalog(replace(catalog, packs=()))

    assert changed.version == catalog.version + 1


def test_a_lost_change_of_the_code_with_the_old_one_is_not_repeated(shop: Served) -> None:
    """A second attempt would try a code that isn't the current one any more, and count as a wrong try."""
    shop.service.set_code()
    shop.service.codes.add("271828")
    line = FailingLine([NotSent(), Lost()])

    with pytest.raises(Unavailable):
        shop.ask("sync", lambda acme: acme.put_manager_code("271828", current_code=CODE), by="storefront", line=line)

    assert len(line.requests) == 2
    assert shop.service.try_code("271828").status == 201


def test_reading_changes_nothing_and_so_it_never_happened(shop: Served) -> None:
    with pytest.raises(Unavailable) as raised:
        shop.ask("sync", lambda acme: acme.get_balance(), line=FailingLine([Lost()], forever=True), deadline=0.5)

    assert not raised.value.may_have_happened


@pytest.mark.parametrize("url", ["http://api.example.com", "api.example.com", "ftp://api.example.com", ""])
def test_a_token_travels_only_encrypted(url: str) -> None:
    with pytest.raises(ValueError, match="no https:// address"):
        Prepaid(url, "token")
