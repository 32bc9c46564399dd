"""An erasure beside an operation that copies texts: no entry after it names the customer again."""

from collections.abc import Callable

import pytest

from tests.support.api import CONSUME, Answer
from tests.support.in_process import Service
from tests.support.wire import Wire

NAME = "Maria Pereira"


def captures(service: Service) -> Callable[[], Answer]:
    hold = service.hold(2, more={"customer": NAME}).body["id"]
    return lambda: service.capture(hold, 1)


def reverses(service: Service) -> Callable[[], Answer]:
    charge = service(CONSUME, json={"feature": "sticker", "customer": NAME}).body["id"]
    return lambda: service.reverse(charge)


@pytest.mark.parametrize("operation", ["Query", "GetItem", "TransactWriteItems"])
@pytest.mark.parametrize("prepared", [captures, reverses])
def test_an_erased_name_is_not_written_again(
    service: Service, prepared: Callable[[Service], Callable[[], Answer]], operation: str
) -> None:
    service.open(credits=10)
    act = prepared(service)
    assert NAME in repr(service.stored())
    with Wire.tapped(service.table.client) as wire:
        wire.plan(operation, lambda _: (service.erase(NAME), None)[1])
        answer = act()

    assert answer.status in (200, 201)
    assert NAME not in repr(service.stored())
