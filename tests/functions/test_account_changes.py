"""What a PUT and a PATCH change of an account that exists, and what they leave as it is."""

from typing import Any

import pytest

from tests.support.api import GET_ACCOUNT, PATCH_ACCOUNT, PUT_ACCOUNT
from tests.support.gateway_events import ADMIN, ANYBODY, BUYER
from tests.support.in_process import Service
from tests.support.store_driver import types

BERLIN = {
    "name": "Tierladen",
    "plan": "trio",
    "ai_enabled": True,
    "quota_anchor_day": 15,
    "time_zone": "Europe/Berlin",
    "language": "en",
    "low_credit_threshold": 50,
    "manager_contact": "eva@example.com",
    "currency": "eur",
    "status": "active",
}
OTHER = {
    "name": "Anderer",
    "plan": "team",
    "ai_enabled": False,
    "quota_anchor_day": 31,
    "time_zone": "Asia/Tokyo",
    "language": "es",
    "low_credit_threshold": 0,
    "manager_contact": None,
    "currency": "jpy",
    "status": "frozen",
}


@pytest.fixture
def berlin(service: Service) -> Service:
    assert service(PUT_ACCOUNT, json=BERLIN).status == 201
    return service


def account(service: Service) -> dict[str, Any]:
    body: dict[str, Any] = service(GET_ACCOUNT).body
    del body["account"]
    return body


@pytest.mark.parametrize("field", sorted(BERLIN))
def test_a_patch_changes_the_field_that_it_names(berlin: Service, field: str) -> None:
    answer = berlin(PATCH_ACCOUNT, json={field: OTHER[field]})

    assert (answer.status, answer.body) == (200, {"account": "acme", **BERLIN, field: OTHER[field]})
    assert account(berlin) == {**BERLIN, field: OTHER[field]}


def test_a_patch_changes_several_fields_at_once(berlin: Service) -> None:
    berlin(PATCH_ACCOUNT, json=OTHER)

    assert account(berlin) == OTHER
    assert types(berlin.stored()) == ["plan_change", "plan_change"]


@pytest.mark.parametrize("patch", [{}, {"name": BERLIN["name"]}, {"plan": "trio"}, BERLIN])
def test_a_patch_without_a_change_writes_nothing(berlin: Service, patch: dict[str, Any]) -> None:
    before = berlin.stored()

    answer = berlin(PATCH_ACCOUNT, json=patch)

    assert (answer.status, answer.body) == (200, {"account": "acme", **BERLIN})
    assert berlin.stored() == before


@pytest.mark.parametrize("field", sorted(set(BERLIN) - {"manager_contact"}))
def test_a_patch_can_remove_only_the_contact(berlin: Service, field: str) -> None:
    before = berlin.stored()

    answer = berlin(PATCH_ACCOUNT, json={field: None})

    assert (answer.status, answer.fields) == (422, [field])
    assert berlin.stored() == before


@pytest.mark.parametrize("patch", [{"time_zone": "right/UTC"}, {"plan": "gold"}, {"account": "x"}, {"language": "pt"}])
def test_a_patch_with_an_invalid_field_is_rejected(berlin: Service, patch: dict[str, Any]) -> None:
    before = berlin.stored()

    answer = berlin(PATCH_ACCOUNT, json={"name": "x", **patch})

    assert (answer.status, answer.fields) == (422, list(patch))
    assert berlin.stored() == before


def test_a_patch_opens_no_account(service: Service) -> None:
    answer = service(PATCH_ACCOUNT, json=BERLIN)

    assert (answer.status, answer.code) == (404, "account_not_found")
    assert service.stored() == {}


@pytest.mark.parametrize(
    "left_out", [["manager_contact"], ["time_zone", "language"], sorted(set(BERLIN) - {"name", "currency", "status"})]
)
def test_a_put_of_an_existing_account_must_name_every_field(berlin: Service, left_out: list[str]) -> None:
    before = berlin.stored()
    body = {name: value for name, value in OTHER.items() if name not in left_out} | {"plan": "team"}

    answer = berlin(PUT_ACCOUNT, json=body)

    assert (answer.status, answer.code) == (422, "invalid_request")
    assert set(answer.fields) == set(left_out) - {"plan"}
    assert "PATCH" in answer.body["detail"]
    assert berlin.stored() == before


def test_a_put_that_names_every_field_sets_them(berlin: Service) -> None:
    answer = berlin(PUT_ACCOUNT, json=OTHER)

    assert (answer.status, account(berlin)) == (200, OTHER)


def test_a_retry_of_the_opening_put_changes_nothing(service: Service) -> None:
    opening = {"name": "Pet & Cia", "plan": "trio"}
    first = service(PUT_ACCOUNT, json=opening)
    before = service.stored()

    retry = service(PUT_ACCOUNT, json=opening)

    assert (first.status, retry.status, retry.text) == (201, 200, first.text)
    assert service(PUT_ACCOUNT, json={**opening, "plan": "team"}).status == 422
    assert service.stored() == before


def test_an_administrator_sees_whether_a_code_is_set(berlin: Service) -> None:
    without = berlin(GET_ACCOUNT, by=ADMIN).body
    berlin.try_code("111222")
    after_a_try = berlin(GET_ACCOUNT, by=ADMIN).body
    berlin.set_code()

    assert without["manager_code_set"] is after_a_try["manager_code_set"] is False
    assert berlin(GET_ACCOUNT, by=ADMIN).body["manager_code_set"] is True
    for other in (ANYBODY, BUYER):
        assert "manager_code_set" not in berlin(GET_ACCOUNT, by=other).body
