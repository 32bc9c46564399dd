"""Errors outside the body: in the account, the key or the query. A documented problem, and nothing written."""

import pytest

from tests.support.api import (
    BALANCE,
    BUY,
    CONSUME,
    FIND_CONSUMPTION,
    GET_CATALOG,
    GRANT,
    HISTORY,
    NEEDS_KEY,
    PACKS,
    PURCHASES,
    PUT_ACCOUNT,
    VOID,
)
from tests.support.gateway_events import caller
from tests.support.good_requests import GOOD, ask
from tests.support.in_process import FUNCTION_OF, Service

OF_AN_ACCOUNT = sorted({route for route in FUNCTION_OF if "{account}" in route} - {PUT_ACCOUNT})


@pytest.mark.parametrize("route", OF_AN_ACCOUNT)
def test_an_unknown_account_is_not_found(refused: Service, route: str) -> None:
    answer = ask(refused, route, account="nobody", json=GOOD.get(route))
    assert (answer.status, answer.code) == (404, "account_not_found")


@pytest.mark.parametrize("route", sorted(NEEDS_KEY))
def test_a_post_without_a_key_is_rejected(refused: Service, route: str) -> None:
    answer = ask(refused, route, json=GOOD.get(route), key="")
    assert (answer.status, answer.code) == (400, "idempotency_key_missing")


@pytest.mark.parametrize("route", sorted(NEEDS_KEY))
def test_an_invalid_key_is_rejected(refused: Service, route: str) -> None:
    for key in ("x" * 256, "x" * 300, "é", "a b", " ", "a\n", "a\x00", "\x7f", "ｋ", "🔑", "a\tb", "\ud800"):
        answer = ask(refused, route, json=GOOD.get(route), key=key)
        assert (answer.status, answer.code) == (400, "idempotency_key_invalid"), ascii(key)


def test_a_key_used_for_another_request_is_rejected(refused: Service) -> None:
    for route in (CONSUME, GRANT, VOID, BUY):
        answer = ask(refused, route, json=GOOD[route], key="taken")
        assert (answer.status, answer.code) == (409, "idempotency_key_reused")


@pytest.mark.parametrize("key", ["", "x" * 256, "é", "a b", "a\n", "\x7f", "🔑", "\ud800"], ids=ascii)
def test_an_invalid_key_to_look_up_is_rejected(refused: Service, key: str) -> None:
    answer = refused.find(key)
    assert (answer.status, answer.fields) == (422, ["idempotency_key"])


def test_a_look_up_without_a_key_is_rejected(refused: Service) -> None:
    answer = refused(FIND_CONSUMPTION)
    assert (answer.status, answer.fields) == (422, ["idempotency_key"])


@pytest.mark.parametrize(
    "limit", ["0", "101", "１０", "-1", "+1", "1.0", "1e1", "", " 1", "1 ", "ten", "1,2", "0x1", "9" * 99]
)
def test_an_invalid_limit_is_rejected(refused: Service, limit: str) -> None:
    answer = ask(refused, HISTORY, query={"limit": limit})
    assert (answer.status, answer.fields) == (422, ["limit"])


@pytest.mark.parametrize("name", ["from", "to"])
@pytest.mark.parametrize(
    "time",
    [
        "2026-06-16T13:00:00",
        "2026-02-30",
        "2026-6-16",
        "1899-12-31",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "10000-01-01T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-06-16T13:00:60Z",
        "2026-06-16T13:00:00+24:00",
        "2026-06-16T13:00:00 03:00",
        "1781614800",
        "",
        "yesterday",
        "２０２６-06-16T13:00:00Z",
        "\x00",
        "\ud800",
    ],
    ids=ascii,
)
def test_an_invalid_time_is_rejected(refused: Service, name: str, time: str) -> None:
    answer = ask(refused, HISTORY, query={name: time})
    assert (answer.status, answer.fields) == (422, [name])


@pytest.mark.parametrize(
    "time",
    [
        "2026-W25-2T13:00Z",
        "20260616T130000Z",
        "2026-06-16T13Z",
        "2026-06-16é13:00:00Z",
        "2026-06-16T13:00:00,5Z",
        "2026-06-16T13:00:00+00:00:30",
        "2026-06-16T13:00:00Z\x00junk",
    ],
    ids=ascii,
)
def test_a_time_outside_rfc_3339_is_rejected(refused: Service, time: str) -> None:
    answer = ask(refused, HISTORY, query={"from": time})
    assert (answer.status, answer.fields) == (422, ["from"])


@pytest.mark.parametrize(
    ("name", "value"),
    [("type", "Consumption"), ("type", ""), ("type", "spent"), ("source", "lot"), ("source", "quota,credits")],
)
def test_an_invalid_filter_is_rejected(refused: Service, name: str, value: str) -> None:
    answer = ask(refused, HISTORY, query={name: value})
    assert (answer.status, answer.fields) == (422, [name])


@pytest.mark.parametrize("route", [BALANCE, FIND_CONSUMPTION, HISTORY, PURCHASES])
@pytest.mark.parametrize("name", ["as_of", "Limit", "", "é", "\x00"])
def test_an_unknown_query_parameter_is_rejected(refused: Service, route: str, name: str) -> None:
    answer = ask(refused, route, query={name: "1"})
    assert (answer.status, answer.fields) == (422, [name])


def test_header_names_match_in_any_case(service: Service) -> None:
    service.open(credits=1)
    headers = {"Content-Type": "application/json", "content-type": "", "IDEMPOTENCY-key": "odd", "idempotency-key": ""}
    assert service(CONSUME, json={"feature": "sticker"}, headers=headers).status == 201
    assert service.spend(key="odd").headers["idempotent-replayed"] == "true"


def test_another_accounts_token_gets_404_for_a_malformed_body(service: Service) -> None:
    service.open("zoo")
    answer = service(CONSUME, "zoo", body="nonsense", by=caller(account="acme"))
    assert answer.status == 404


def test_packs_and_catalog_need_no_account(service: Service) -> None:
    assert service(PACKS).status == service(GET_CATALOG).status == 200
