"""POST consumptions/batch: many debits in one request, each with its own key and its own result."""

from datetime import timedelta
from typing import Any

import pytest

from tests.support.api import BATCH, BUY, GRANT, PATCH_ACCOUNT
from tests.support.gateway_events import caller
from tests.support.handlers import Clock
from tests.support.in_process import Service
from tests.support.ledger_audit import audit
from tests.support.store_driver import claim_keys, lines, types
from tests.support.wire import Wire

ITEM = {"idempotency_key": "k", "feature": "sticker"}


def statuses(answer: Any) -> list[int]:
    assert answer.status == 200, answer
    return [result["status"] for result in answer.body["results"]]


def test_each_item_has_the_result_that_it_gets_alone(service: Service) -> None:
    for account in ("acme", "zoo"):
        service.open(account, plan="individual", ai_enabled=True, credits=5)
    bodies: list[dict[str, Any]] = [
        {"feature": "ai_service", "quantity": 99, "customer": "c", "reference": "r", "description": "d"},
        {"feature": "sticker", "quantity": 4},
        {"feature": "sticker", "quantity": 2},
        {"feature": "ai_service", "quantity": 2},
        {"feature": "ai_service"},
        {"feature": "unheard"},
    ]
    alone = [
        service("POST /v1/accounts/{account}/consumptions", "zoo", json=single, key=f"k{n}")
        for n, single in enumerate(bodies)
    ]

    answer = service.batch(*({"idempotency_key": f"k{n}", **body} for n, body in enumerate(bodies)))

    assert statuses(answer) == [single.status for single in alone] == [201, 201, 402, 201, 402, 422]
    for result, single in zip(answer.body["results"], alone, strict=True):
        # The batch is one request: its id is no item's.
        body = {name: value for name, value in single.body.items() if name != "request_id"}
        expected = body | ({"status": 201, "replayed": False} if single.status == 201 else {})
        assert result == expected
    stored = service.stored()
    assert lines(stored, "acme")[2:] == lines(stored, "zoo")[2:]


def test_a_full_batch_is_one_query_and_one_transaction(service: Service) -> None:
    service.open(credits=100)
    service.spend()
    with Wire.tapped(service.table.client) as wire:
        assert statuses(service.batch(*((f"k{n}", 1) for n in range(40)))) == [201] * 40

    assert wire.calls == ["Query", "TransactWriteItems"]
    assert audit(service.stored(), "acme").consumptions == 41


def test_an_expiry_and_a_renewal_are_recorded_once_and_first(service: Service, clock: Clock) -> None:
    service.open(plan="individual", ai_enabled=True, credits=100)
    assert service.spend(3, "ai_service").status == 201
    service.give(5, expires_at="2026-06-16T14:00:00Z")
    clock.now += timedelta(days=20)

    assert statuses(service.batch(("k1", 100), ("k2", 1), {**ITEM, "feature": "ai_service"})) == [201, 402, 201]

    assert types(service.stored())[-4:] == ["expiry", "quota_renewal", "consumption", "consumption"]


def test_a_batch_of_refusals_changes_nothing(service: Service) -> None:
    service.open(credits=3)
    before = service.stored()

    answer = service.batch(("k1", 4), ("k2", 5), {**ITEM, "feature": "unheard"})

    assert statuses(answer) == [402, 402, 422]
    assert [result.get("needed") for result in answer.body["results"]] == [4, 5, None]
    assert service.stored() == before


@pytest.mark.parametrize("again", [range(5), range(2), range(3, 5), [4, 0, 2], [1, 1]], ids=str)
def test_any_part_of_a_batch_can_be_sent_again(service: Service, again: Any) -> None:
    service.open(credits=9)
    keyed = [(f"k{n}", 1 + n % 2) for n in range(5)]
    first = service.batch(*keyed).body["results"]
    before = service.stored()

    second = service.batch(*(keyed[n] for n in again))

    assert second.body["results"] == [{**first[n], "replayed": True} for n in again]
    assert service.stored() == before


def test_new_items_among_replays_take_effect(service: Service) -> None:
    """Replayed items are charged once, so enough is left for the new ones."""
    service.open(credits=9)
    assert statuses(service.batch(("k1", 4), ("k2", 3))) == [201, 201]

    answer = service.batch(("k1", 4), ("k3", 1), ("k2", 3), ("k4", 1), ("k5", 1))

    assert statuses(answer) == [201, 201, 201, 201, 402]
    assert [result.get("replayed") for result in answer.body["results"]] == [True, False, True, False, None]
    assert service.balance()["credits"]["available"] == 0


def test_an_item_replays_the_same_consumption_sent_alone(service: Service) -> None:
    service.open(credits=2)
    alone = service.spend(2, key="k1")

    [result] = service.batch(("k1", 2)).body["results"]

    assert result == {**alone.body, "status": 201, "replayed": True}
    assert service.batch(("k2", 1)).body["results"][0]["status"] == 402
    service.give(1)
    [charged] = service.batch(("k2", 1)).body["results"]
    again = service.spend(1, key="k2")
    assert again.replayed
    assert {**again.body, "status": 201, "replayed": False} == charged


def test_a_key_of_another_request_is_refused_alone(service: Service) -> None:
    service.open(credits=9)
    service.set_code()
    service(GRANT, json={"credits": 1, "kind": "promotion", "reason": "r"}, key="grant")
    session = {"manager-session": service.manager_session()}
    service(BUY, json={"pack": "credits-50"}, key="purchase", headers=session)
    service.spend(1, key="spent")

    answer = service.batch(("grant", 1), ("purchase", 1), ("new", 1), ("spent", 2), ("spent", 1))

    assert statuses(answer) == [409, 409, 201, 409, 201]
    codes = {result["code"] for result in answer.body["results"] if result["status"] == 409}
    assert codes == {"idempotency_key_reused"}
    assert service.balance()["credits"]["available"] == 8


def test_a_key_twice_in_a_batch_has_one_effect(service: Service) -> None:
    service.open(credits=9)

    answer = service.batch(("k1", 2), ("k1", 2), ("k1", 3), ("k2", 1))

    first, second, other, *_ = answer.body["results"]
    assert statuses(answer) == [201, 201, 409, 201]
    assert second == {**first, "replayed": True}
    assert other["code"] == "idempotency_key_reused"
    assert service.balance()["credits"]["available"] == 6


def test_a_key_reused_with_other_texts_is_refused(service: Service) -> None:
    service.open(credits=9)
    items = [{**ITEM, "customer": "c"}, {**ITEM, "customer": "d"}, ITEM, {**ITEM, "customer": "c"}]

    assert statuses(service.batch(*items)) == [201, 409, 409, 201]
    assert statuses(service.batch(*items)) == [201, 409, 409, 201]


def test_a_refused_item_leaves_its_key_to_the_next_one(service: Service) -> None:
    service.open(credits=2)

    answer = service.batch(("k1", 3), ("k1", 2), ("k1", 3))

    assert statuses(answer) == [402, 201, 409]


def test_a_malformed_item_is_refused_alone(service: Service) -> None:
    service.open(credits=9)
    wrong: list[Any] = [
        {**ITEM, "quantity": 0},
        {"feature": "sticker"},
        {"idempotency_key": "é", "feature": "sticker"},
        {**ITEM, "quantity": 1.5, "customer": "a\nb"},
        {**ITEM, "unknown": 1},
        7,
        None,
        [],
        "text",
    ]

    answer = service.batch(*wrong, ("good", 1))

    *refused, good = answer.body["results"]
    assert good["status"] == 201
    assert {(result["status"], result["code"]) for result in refused} == {(422, "invalid_request")}
    assert [[error["field"] for error in result["errors"]] for result in refused] == [
        ["quantity"],
        ["idempotency_key"],
        ["idempotency_key"],
        ["quantity", "customer"],
        ["unknown"],
        *[["item"]] * 4,
    ]
    assert "CLAIM#acme#good" in claim_keys(service.stored())
    assert types(service.stored())[-2:] == ["grant", "consumption"]


@pytest.mark.parametrize(
    "body",
    ['{"items": []}', '{"items": %s}' % ("[" + ",".join(["1"] * 41) + "]"), "{}", '{"items": {}}', '{"items": null}',
     '{"items": [{}], "more": 1}'],
    ids=lambda body: body[:24],
)  # fmt: skip
def test_a_batch_of_none_or_too_many_is_invalid(service: Service, body: str) -> None:
    service.open(credits=9)
    before = service.stored()

    answer = service(BATCH, body=body)

    assert (answer.status, answer.code) == (422, "invalid_request")
    assert answer.fields == (["more"] if "more" in body else ["items"])
    # Pydantic's own words for programmers.
    assert "validation" not in str(answer.body)
    assert service.stored() == before


def test_a_batch_that_is_not_json_is_malformed(service: Service) -> None:
    service.open(credits=9)

    for body in ('{"items": [{"feature": "sticker", "feature": "x"}]}', '{"items": [NaN]}', '{"items": ["\\ud800"]}'):
        assert service(BATCH, body=body).status == 400


def test_a_batch_of_a_missing_account_is_not_found(service: Service) -> None:
    service.open("zoo", credits=9)

    for answer in (
        service.batch(("k1", 1), account="nobody"),
        service.batch(7, account="nobody"),
        service.batch(("k1", 1), account="zoo", by=caller(account="acme")),
    ):
        assert (answer.status, answer.code) == (404, "account_not_found")


def test_items_of_a_frozen_account_are_refused_and_replays_are_not(service: Service) -> None:
    service.open(credits=9)
    service.batch(("k1", 1))
    assert service(PATCH_ACCOUNT, json={"status": "frozen"}).status == 200

    answer = service.batch(("k1", 1), ("k2", 1), ("k1", 2))

    assert statuses(answer) == [201, 409, 409]
    assert [result.get("code") for result in answer.body["results"]] == [
        None,
        "account_frozen",
        "idempotency_key_reused",
    ]


def test_each_item_has_an_entry_of_its_own(service: Service) -> None:
    service.open(credits=9)

    service.batch({**ITEM, "reference": "r1"}, {**ITEM, "idempotency_key": "k2", "reference": "r2"}, by=caller("jobs"))

    last = lines(service.stored())[-2:]
    assert [(line["reference"], line["actor"], line["quantity"]) for line in last] == [
        ("r1", "jobs", 1),
        ("r2", "jobs", 1),
    ]
    assert service.find("k2").body["entry"] == 4
