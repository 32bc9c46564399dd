"""GET consumptions: whether a consumption took effect, without repeating it."""

import pytest

from tests.support.api import BUY, CONSUMPTION, GRANT, VOID
from tests.support.gateway_events import ADMIN, BUYER, caller
from tests.support.in_process import Service
from tests.support.wire import Wire

WELCOME = {"credits": 5, "kind": "promotion", "reason": "welcome"}


def test_a_consumption_is_found_by_id_and_by_key(service: Service) -> None:
    service.open(plan="individual", ai_enabled=True, credits=9)
    charged = service.spend(103, "ai_service", key="job/1?x=y&z")
    service.spend(2)

    by_id = service(CONSUMPTION, id=charged.body["id"])
    by_key = service.find("job/1?x=y&z")

    assert (by_id.status, by_id.text) == (by_key.status, by_key.text) == (200, charged.text)


def test_a_look_up_changes_nothing(service: Service) -> None:
    service.open(credits=9)
    charged = service.spend(key="job-1")
    before = service.stored()

    service(CONSUMPTION, id=charged.body["id"])
    service.find("job-1")
    service.find("job-2")

    assert service.stored() == before


def test_a_key_without_an_effect_is_not_found(service: Service) -> None:
    service.open(credits=1)
    service.open("zoo", credits=1)
    assert service.spend(2, key="refused").status == 402
    service.spend(key="of-zoo", account="zoo")

    for key in ("refused", "of-zoo", "never-sent", "REFUSED"):
        answer = service.find(key)
        assert (answer.status, answer.code) == (404, "consumption_not_found")

    service.give(1)
    assert service.spend(2, key="refused").status == 201
    assert service.find("refused").status == 200


def test_a_key_of_another_kind_of_request_is_not_found(service: Service) -> None:
    service.open(credits=5)
    service.set_code()
    granted = service(GRANT, json=WELCOME, key="grant")
    assert service(VOID, id=granted.body["id"], json={"reason": "a mistake"}, key="void").status == 201
    assert service.try_code(key="session").status == 201
    session = {"manager-session": service.manager_session()}
    assert service(BUY, json={"pack": "credits-50"}, key="purchase", headers=session).status == 201
    assert service.portal_session(key="link").status == 201

    for key in ("grant", "void", "session", "purchase", "link"):
        answer = service.find(key)
        assert (answer.status, answer.code) == (404, "consumption_not_found"), key


@pytest.mark.parametrize(
    "other",
    [
        "con_000000000001",
        "con_000000000002",
        "con_000000000004",
        "con_3",
        "con_0000000000003",
        "con_０００００００００００３",
        "gra_000000000003",
        "lot_000000000003",
        "000000000003",
        "con_-00000000003",
        "con_",
        "",
        "batch",
        "pur_1",
        "\ud800",
    ],
    ids=ascii,
)
def test_an_id_of_no_consumption_is_not_found(service: Service, other: str) -> None:
    service.open(credits=5)
    assert service.spend().body["id"] == "con_000000000003"

    answer = service(CONSUMPTION, id=other)

    assert (answer.status, answer.code) == (404, "consumption_not_found")


def test_a_missing_account_has_its_own_error(service: Service) -> None:
    for answer in (service.find("job-1", "nobody"), service(CONSUMPTION, "nobody", id="con_000000000003")):
        assert (answer.status, answer.code) == (404, "account_not_found")


def test_a_strangers_consumption_is_not_found(service: Service) -> None:
    service.open("zoo", credits=5)
    charged = service.spend(key="job-1", account="zoo")
    stranger = caller(account="acme")

    for answer in (
        service.find("job-1", "zoo", by=stranger),
        service(CONSUMPTION, "zoo", id=charged.body["id"], by=stranger),
    ):
        assert (answer.status, answer.code) == (404, "account_not_found")


@pytest.mark.parametrize("by", [caller(), ADMIN, BUYER], ids=["service", "admin", "storefront"])
def test_every_client_may_look_up(service: Service, by: dict[str, str]) -> None:
    service.open(credits=5)
    service.spend(key="job-1")

    assert service.find("job-1", by=by).status == 200


def test_a_look_up_reads_no_more_than_it_needs(service: Service) -> None:
    service.open(credits=5)
    charged = service.spend(key="job-1")

    with Wire.tapped(service.table.client) as wire:
        service(CONSUMPTION, id=charged.body["id"])
        assert wire.calls == ["GetItem"]
        wire.forget()
        service.find("job-1")
        assert wire.calls == ["GetItem", "GetItem"]
        wire.forget()
        service.find("job-2")
        assert wire.calls == ["GetItem", "Query"]
