"""Secrets are compared by hmac.compare_digest only, whose duration doesn't depend on where the texts differ.

The proof: with that function replaced by one that always returns equal, invented values pass, so no other comparison
exists. A manager session's token isn't compared at all: it is looked up by its digest.
"""

from collections.abc import Callable
from hashlib import sha256

import pytest

from tests.support.api import CODE, HISTORY, Answer
from tests.support.handlers import START
from tests.support.in_process import Service
from tests.support.store_driver import Stored
from tests.support.stripe_purchases import OTHER_SECRET, deliver, signed

BODY = b'{"id": "evt_1", "type": "customer.created"}'


def turn_page(service: Service) -> Answer:
    return service(HISTORY, query={"cursor": f"1.{'0' * 64}"})


def deliver_anothers(service: Service) -> Answer:
    return deliver(service, BODY, signed(BODY, START, secret=OTHER_SECRET))


def try_another_code(service: Service) -> Answer:
    return service.try_code("591827")


def change_with_another_code(service: Service) -> Answer:
    return service.set_code("830461", current="591827")


@pytest.mark.parametrize(
    ("made_up", "refused", "taken"),
    [
        (turn_page, 400, 200),
        (deliver_anothers, 400, 200),
        (try_another_code, 403, 201),
        # Any code is then right, and the new code equals the old one.
        (change_with_another_code, 403, 422),
    ],
)
def test_a_constant_time_comparison_decides(
    service: Service, monkeypatch: pytest.MonkeyPatch, made_up: Callable[[Service], Answer], refused: int, taken: int
) -> None:
    service.open()
    service.set_code()
    assert made_up(service).status == refused

    monkeypatch.setattr("hmac.compare_digest", lambda *_: True)

    assert made_up(service).status == taken


def test_a_session_is_found_by_its_tokens_digest(service: Service) -> None:
    service.open()
    service.set_code(CODE)
    before = service.stored()

    token = service.manager_session()

    added: Stored = {key: row for key, row in service.stored().items() if key not in before}
    assert f"SESSION#{sha256(token.encode()).hexdigest()}" in {partition for partition, _ in added}
    assert token not in str(service.stored())
