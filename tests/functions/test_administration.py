"""Accounts, grants and the catalog."""

from datetime import timedelta
from typing import Any

import pytest

from prepaid.core.ledger import MAX_LOTS
from tests.support.api import GET_ACCOUNT, GET_CATALOG, GRANT, PACKS, PATCH_ACCOUNT, PUT_ACCOUNT, PUT_CATALOG, Answer
from tests.support.gateway_events import caller
from tests.support.handlers import Clock
from tests.support.in_process import Service
from tests.support.store_driver import StoreDriver, due_keys, lines, types

MINIMAL = {"name": "Pet & Cia", "plan": "trio"}
WHOLE = {
    "account": "acme",
    "name": "Pet & Cia",
    "plan": "trio",
    "ai_enabled": False,
    "quota_anchor_day": 1,
    "time_zone": "America/Sao_Paulo",
    "language": "pt-BR",
    "low_credit_threshold": 10,
    "manager_contact": None,
    "currency": "brl",
    "status": "active",
}


def test_an_account_opens_with_defaults_and_reads_the_same(service: Service) -> None:
    answer = service(PUT_ACCOUNT, json=MINIMAL)
    assert (answer.status, answer.body) == (201, WHOLE)
    assert service(GET_ACCOUNT).text == answer.text
    assert types(service.stored()) == ["plan_change"]


def test_an_identical_put_changes_nothing(service: Service) -> None:
    service(PUT_ACCOUNT, json=MINIMAL)
    before = service.stored()
    answer = service(PUT_ACCOUNT, json=MINIMAL)
    assert (answer.status, answer.body) == (200, WHOLE)
    assert service.stored() == before


def test_every_field_can_be_changed(service: Service) -> None:
    service(PUT_ACCOUNT, json=MINIMAL)
    changed = {
        "name": "Outra",
        "plan": "team",
        "ai_enabled": True,
        "quota_anchor_day": 31,
        "time_zone": "Europe/Lisbon",
        "language": "es",
        "low_credit_threshold": 0,
        "manager_contact": "ana@example.com",
        "currency": "eur",
        "status": "frozen",
    }
    answer = service(PUT_ACCOUNT, json=changed)
    assert (answer.status, answer.body) == (200, {"account": "acme", **changed})
    assert service(GET_ACCOUNT).body == answer.body


def test_a_profile_change_writes_no_entry(service: Service) -> None:
    service(PUT_ACCOUNT, json=MINIMAL)
    service(PATCH_ACCOUNT, json={"name": "Other", "manager_contact": "bia@example.com"})
    assert types(service.stored()) == ["plan_change"]
    assert service(GET_ACCOUNT).body["name"] == "Other"


def test_a_plan_change_keeps_what_was_used(service: Service) -> None:
    service.open(plan="individual", ai_enabled=True)
    service.spend(80, "ai_service")
    service(PATCH_ACCOUNT, json={"plan": "trio"})
    assert service.balance()["quotas"][0] | {"renews_at": ""} == {
        "feature": "ai_service",
        "limit": 300,
        "used": 80,
        "remaining": 220,
        "renews_at": "",
    }


@pytest.mark.parametrize(
    ("ai_enabled", "opened"),
    [
        (True, True),
        (True, False),
        (False, True),
        (False, False),
    ],
)
def test_an_unknown_plan_is_rejected(service: Service, ai_enabled: bool, opened: bool) -> None:
    if opened:
        service.open()
    before = service.stored()
    body = {"name": "Pet", "plan": "gold", "ai_enabled": ai_enabled}
    answer = service(PATCH_ACCOUNT if opened else PUT_ACCOUNT, json=body)
    assert (answer.status, answer.fields) == (422, ["plan"])
    assert service.stored() == before


@pytest.mark.parametrize(
    "zone",
    [
        "Mars/Olympus",
        "right/UTC",
        "right/America/Sao_Paulo",
        "posix/Europe/Berlin",
        "localtime",
        "posixrules",
        "Factory",
        "EST5EDT",
        "Zulu",
        "utc",
        "AMERICA/SAO_PAULO",
        "America/Sao_Paulo/",
        "America//Sao_Paulo",
        "./America/Sao_Paulo",
        "america/sao_paulo",
        "America",
        "America/",
        "/etc/localtime",
        "../../../etc/passwd",
        "America/../../../etc/passwd",
        "UTC\x00",
        "__init__.py",
        "tzdata.zi",
        "zone1970.tab",
        ".",
        "..",
        "a..b/c",
        "São/Paulo",
        "America/Sao_Paulo ",
        "UTC+3",
    ],
)
def test_an_unknown_time_zone_is_rejected(service: Service, zone: str) -> None:
    answer = service(PUT_ACCOUNT, json={**MINIMAL, "time_zone": zone})
    assert (answer.status, answer.fields) == (422, ["time_zone"])
    assert service.stored() == {}


@pytest.mark.parametrize("account", ["a" * 64, "0", "A.b_c-d", "a#b"[:1]])
def test_valid_account_ids_are_accepted(service: Service, account: str) -> None:
    assert service(PUT_ACCOUNT, account, json=MINIMAL).body["account"] == account
    assert service(GET_ACCOUNT, account).status == 200


def test_a_token_for_one_account_may_open_that_one(service: Service) -> None:
    assert service(PUT_ACCOUNT, "acme", json=MINIMAL, by=caller(account="acme")).status == 201


def grant(service: Service, **more: Any) -> Answer:
    return service(GRANT, json={"credits": 5, "kind": "promotion", "reason": "welcome", **more}, key="the-key")


def test_a_grant_is_a_lot_with_its_reason(service: Service) -> None:
    service.open()
    answer = grant(service, kind="adjustment", reason="sorry for the wait")
    assert answer.status == 201
    assert answer.body == {
        "id": "gra_000000000002",
        "entry": 2,
        "kind": "adjustment",
        "credits": 5,
        "lot": "lot_000000000002",
        "reason": "sorry for the wait",
        "expires_at": "2027-06-17T03:00:00.000Z",
        "balance": {"available": 5, "quota_remaining": 0},
        "created_at": "2026-06-16T13:00:00.000Z",
    }
    stored = service.stored()
    assert lines(stored)[-1]["type"] == "adjustment"
    assert due_keys(stored) == ["acme#lot_000000000002"]


@pytest.mark.parametrize(
    ("validity", "expires_at"),
    [
        ({"valid_months": 1}, "2026-07-17T03:00:00.000Z"),
        ({"valid_months": 120}, "2036-06-17T03:00:00.000Z"),
        ({"expires_at": "2026-06-16T13:00:00.001Z"}, "2026-06-16T13:00:00.001Z"),
        ({"expires_at": "2026-06-16T11:00:00.0019-03:00"}, "2026-06-16T14:00:00.001Z"),
        ({"expires_at": "2099-12-31T23:59:59.999Z"}, "2099-12-31T23:59:59.999Z"),
    ],
)
def test_a_grant_expires_after_its_validity(service: Service, validity: dict[str, Any], expires_at: str) -> None:
    service.open()
    answer = grant(service, **validity)
    assert answer.body["expires_at"] == expires_at
    assert service.balance()["credits"]["next_expiry_at"] == expires_at


@pytest.mark.parametrize(
    "expires_at",
    [
        "2026-06-16T13:00:00Z",
        "2026-06-16T13:00:00.0009Z",
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
        "9999-12-31T23:59:59Z",
        "0000-01-01T00:00:00Z",
        "10000-01-01T00:00:00Z",
        "2027-01-01T00:00:00",
        "2027-01-01",
        "2027-02-30T00:00:00Z",
        "1900000000",
        "+1900000000",
        "1.9e9",
        "tomorrow",
        "",
        1900000000,
        True,
        [],
    ],
)
def test_an_invalid_expiry_of_a_grant_is_rejected(service: Service, expires_at: Any) -> None:
    service.open()
    before = service.stored()
    answer = grant(service, expires_at=expires_at)
    assert (answer.status, answer.fields) == (422, ["expires_at"])
    assert service.stored() == before


def test_a_grant_with_two_expiries_is_rejected(service: Service) -> None:
    service.open()
    answer = grant(service, expires_at="2027-01-01T00:00:00Z", valid_months=3)
    assert answer.status == 422
    assert types(service.stored()) == ["plan_change"]


def test_a_retried_grant_gets_the_original_response(service: Service, clock: Clock) -> None:
    service.open()
    first = grant(service, expires_at="2026-06-16T14:00:00Z")
    service.spend(5)
    clock.now += timedelta(days=1)
    before = service.stored()
    again = grant(service, expires_at="2026-06-16T14:00:00Z")
    assert (again.status, again.text) == (first.status, first.text)
    assert again.headers["idempotent-replayed"] == "true"
    assert grant(service, expires_at="2026-06-16T14:00:00Z", credits=6).code == "idempotency_key_reused"
    assert service.spend(1, key="the-key").code == "idempotency_key_reused"
    assert service.stored() == before


def test_the_same_instant_in_another_zone_is_the_same_request(service: Service) -> None:
    service.open()
    first = grant(service, expires_at="2026-12-31T21:00:00-03:00")
    again = grant(service, expires_at="2027-01-01T00:00:00Z")
    assert again.text == first.text


def test_a_default_validity_is_the_same_request_as_12_months(service: Service) -> None:
    service.open()
    assert grant(service, valid_months=12).text == grant(service).text


def test_grants_beyond_the_limit_of_lots_are_rejected(service: Service) -> None:
    StoreDriver(service.table).open_with_lots(MAX_LOTS - 1)
    service.give(1)
    before = service.stored()
    answer = grant(service)
    assert (answer.status, answer.code) == (409, "too_many_lots")
    assert service.stored() == before
    service.spend(1)
    assert grant(service).status == 201


def test_packs_show_their_price_and_the_best_is_marked(service: Service) -> None:
    packs = service(PACKS).body["packs"]
    assert [(pack["id"], pack["price_per_credit"], pack["saving_percent"], pack["best_value"]) for pack in packs] == [
        ("credits-50", "59.8", 0, False),
        ("credits-100", "49.9", 16, False),
        ("credits-500", "39.98", 33, False),
        ("credits-1000", "34.99", 41, True),
    ]
    assert packs[0] | {"id": ""} == {
        "id": "",
        "credits": 50,
        "amount": 2990,
        "currency": "brl",
        "valid_months": 12,
        "price_per_credit": "59.8",
        "saving_percent": 0,
        "best_value": False,
    }


def successor(service: Service) -> dict[str, Any]:
    catalog: dict[str, Any] = service(GET_CATALOG).body
    del catalog["version"]
    return catalog


def put(service: Service, catalog: dict[str, Any], if_match: str = '"1"') -> Answer:
    return service(PUT_CATALOG, json=catalog, headers={"if-match": if_match})


def test_a_catalog_is_replaced_with_its_version_in_if_match(service: Service) -> None:
    assert service(GET_CATALOG).headers["etag"] == '"1"'
    changed = successor(service)
    changed["features"].append({"id": "photo", "price": 3, "active": True, "titles": {"es": "Foto"}})
    changed["packs"][0]["active"] = False
    answer = put(service, changed)
    assert (answer.status, answer.headers["etag"]) == (200, '"2"')
    assert answer.body == {"version": 2, **changed}
    assert service(GET_CATALOG).text == answer.text
    assert sorted(sort for partition, sort in service.stored() if partition == "CATALOG") == ["CURRENT", "V#000002"]
    # The same request again is a retry, not a conflicting change.
    assert put(service, changed).text == answer.text


@pytest.mark.parametrize("spelling", ["1", '"1"', ' "1" '])
def test_every_spelling_of_if_match_is_accepted(service: Service, spelling: str) -> None:
    assert put(service, successor(service), spelling).status == 200


@pytest.mark.parametrize("spelling", ["*", 'W/"1"', '"a"', "0", "-1", "1.0", "１", '"1", "2"', "9" * 10, '""', "é"])
def test_an_invalid_if_match_is_rejected(service: Service, spelling: str) -> None:
    answer = put(service, successor(service), spelling)
    assert (answer.status, answer.fields) == (422, ["If-Match"])
    assert service.stored() == {}


def test_a_cheaper_smaller_pack_needs_explicit_permission(service: Service) -> None:
    catalog = successor(service)
    # The next larger pack costs 49.9 centavos a credit: 59 for this one is fine, 49 is a mistake.
    catalog["packs"][0]["amount"] = 2950
    assert put(service, catalog).status == 200
    catalog = successor(service)
    catalog["packs"][0]["amount"] = 2450
    before = service.stored()
    answer = put(service, catalog, "2")
    assert (answer.status, answer.fields) == (422, ["packs"])
    assert "credits-50 is cheaper per credit than the larger credits-100" in answer.body["detail"]
    assert put(service, catalog | {"allow_cheaper_small_packs": False}, "2").status == 422
    assert put(service, catalog | {"allow_cheaper_small_packs": "true"}, "2").fields == ["allow_cheaper_small_packs"]
    assert service.stored() == before
    answer = put(service, catalog | {"allow_cheaper_small_packs": True}, "2")
    assert (answer.status, answer.body["version"]) == (200, 3)
    # The permission belongs to the request and is not stored in the catalog.
    assert "allow_cheaper_small_packs" not in answer.body


@pytest.mark.parametrize("change", [{"active": False}, {"currency": "usd"}])
def test_retired_packs_and_other_currencies_may_cost_less(service: Service, change: dict[str, Any]) -> None:
    catalog = successor(service)
    catalog["packs"][0] |= {"amount": 100, **change}
    assert put(service, catalog).status == 200


def test_a_replacement_of_an_older_version_is_rejected(service: Service) -> None:
    mine, theirs = successor(service), successor(service)
    theirs["packs"][0]["amount"] = 2989
    put(service, theirs)
    before = service.stored()
    mine["packs"][1]["amount"] = 4989
    answer = put(service, mine)
    assert (answer.status, answer.code, answer.body["current_version"]) == (412, "version_conflict", 2)
    assert put(service, mine, "999999999").status == 412
    assert service.stored() == before


def test_a_replacement_without_if_match_is_rejected(service: Service) -> None:
    answer = service(PUT_CATALOG, json=successor(service))
    assert (answer.status, answer.code) == (428, "if_match_missing")
    assert service.stored() == {}


def test_an_account_token_reads_the_catalog_but_cannot_change_it(service: Service) -> None:
    bound = caller(account="acme")
    assert service(GET_CATALOG, by=bound).status == 200
    assert service(PACKS, by=bound).status == 200
    answer = service(PUT_CATALOG, json=successor(service), headers={"if-match": "1"}, by=bound)
    assert (answer.status, answer.code) == (403, "forbidden")
    assert service.stored() == {}


@pytest.mark.parametrize("kind", ["features", "plans", "packs"])
def test_a_duplicate_id_is_rejected(service: Service, kind: str) -> None:
    changed = successor(service)
    changed[kind].append(changed[kind][0])
    answer = put(service, changed)
    assert answer.status == 422
    assert service.stored() == {}


def test_a_quota_of_an_unknown_feature_is_rejected_by_name(service: Service) -> None:
    changed = successor(service)
    changed["plans"][1]["quotas"]["film"] = 3
    answer = put(service, changed)
    assert (answer.status, answer.code, answer.fields) == (422, "invalid_request", ["plans.1.quotas.film"])
    assert service.stored() == {}


def test_a_feature_has_no_switch_for_a_quota(service: Service) -> None:
    changed = successor(service)
    changed["features"][0]["quota_backed"] = True
    assert put(service, changed).fields == ["features.0.quota_backed"]
    assert service.stored() == {}
