"""Rule 22: the texts that name a person go, the entries, their hashes and the balance stay."""

import json
from dataclasses import replace
from typing import Any

import pytest

from prepaid.store.secrets import Versions, versions_of
from tests.oracle import stored_form
from tests.support.api import CONSUME, ERASE, GRANT, HISTORY, PATCH_ACCOUNT, PLACE_HOLD, STATEMENT, Answer
from tests.support.gateway_events import Context
from tests.support.handlers import Clock
from tests.support.history_csv import read_file
from tests.support.iam_rights import acting_as
from tests.support.in_process import Service
from tests.support.interruptions import killed_after, losing_replies, rivalled, short_pages
from tests.support.store_driver import NO_DEADLINE, entry_items, lines, types
from tests.support.wire import Wire

MARIA, OTHER = "Maria Pereira", "customer-118"


def spend_for(service: Service, customer: str | None, *, key: str | None = None, **texts: str) -> Answer:
    named = {} if customer is None else {"customer": customer}
    return service(CONSUME, json={"feature": "sticker", **named, **texts}, key=key)


@pytest.fixture
def shop(service: Service) -> Service:
    """Entries 3 to 7 name Maria, customer-118, Maria, no customer, Maria."""
    service.open(credits=50)
    spend_for(service, MARIA, key="first", description="Bath of Bidu", reference="os-1")
    spend_for(service, OTHER)
    spend_for(service, MARIA)
    spend_for(service, None, description="a walk")
    spend_for(service, MARIA)
    return service


def verified(service: Service) -> int:
    with acting_as("verify"):
        return int(service.functions["verify"]({}, Context(remaining=900_000))["found"])


def test_an_erasure_counts_the_entries_and_stores_no_name(shop: Service) -> None:
    answer = shop.erase(MARIA)

    assert (answer.status, answer.body["entries"], answer.body["entry"]) == (201, 3, 8)
    assert answer.body["id"] == "era_000000000008"
    assert lines(shop.stored())[-1]["type"] == "erasure"
    assert MARIA not in str(shop.stored())
    assert "Bidu" not in str(shop.stored())


def test_other_entries_keep_their_texts_and_every_line_stays(shop: Service) -> None:
    before = entry_items(shop.stored())

    shop.erase(MARIA)

    after = entry_items(shop.stored())[: len(before)]
    for name in ("line", "state", "hash"):
        assert [item[name] for item in after] == [item[name] for item in before]
    assert [stored_form.line_of(item).get("customer") for item in after[2:]] == [None, OTHER, None, None, None]
    assert stored_form.line_of(after[5])["description"] == "a walk"


def test_the_verifier_accepts_what_an_erasure_leaves(shop: Service) -> None:
    shop.erase(MARIA)

    assert verified(shop) == 0


def test_the_history_marks_erased_entries(shop: Service) -> None:
    shop.erase(MARIA)

    shown = {entry["entry"]: entry for entry in shop(HISTORY).body["entries"]}
    names = ("customer", "description", "reference", "erased")
    assert [shown[3][name] for name in names] == [None, None, None, True]
    assert [shown[4][name] for name in names] == [OTHER, None, None, False]
    file = read_file(shop(HISTORY, headers={"accept": "text/csv"}).text)
    cells = [(line["customer"], line["description"], line["reference"]) for line in file.lines]
    assert cells[-4:-2] == [(OTHER, "", ""), ("erased", "", "")]
    assert shop.balance()["credits"]["available"] == 45


def test_a_profile_that_is_overwritten_leaves_no_copy(shop: Service) -> None:
    shop(PATCH_ACCOUNT, json={"name": "Pet Shop of Ana Souza", "manager_contact": "ana@example.com"})
    assert "Ana Souza" in str(shop.stored())

    shop(PATCH_ACCOUNT, json={"name": "-", "manager_contact": None})

    assert not [text for text in ("Ana Souza", "ana@example.com") if text in str(shop.stored())]


def test_a_retry_of_an_erased_consumption_is_replayed(shop: Service) -> None:
    """With any texts, because erased texts can't be compared. Another feature is still another request."""
    first = shop.find("first").body
    shop.erase(MARIA)

    again = spend_for(shop, MARIA, key="first", description="Bath of Bidu", reference="os-1")
    other = shop(CONSUME, json={"feature": "ai_service"}, key="first")

    assert (again.status, again.body, again.replayed) == (201, first, True)
    assert other.code == "idempotency_key_reused"


def test_other_texts_with_a_key_that_is_not_erased_are_refused(shop: Service) -> None:
    assert spend_for(shop, OTHER, key="first").code == "idempotency_key_reused"
    assert spend_for(shop, MARIA, key="first").code == "idempotency_key_reused"


@pytest.mark.parametrize(
    ("route", "name", "body"),
    [
        (PLACE_HOLD, "description", {"feature": "sticker"}),
        (GRANT, "reason", {"credits": 5, "kind": "promotion"}),
    ],
)
def test_a_hold_or_grant_with_other_texts_is_another_request(
    shop: Service, route: str, name: str, body: dict[str, Any]
) -> None:
    first = shop(route, json={**body, name: "Bath of Bidu"}, key="k")

    again = shop(route, json={**body, name: "Bath of Bidu"}, key="k")
    other = shop(route, json={**body, name: "Bath of Rufo"}, key="k")

    assert (first.status, again.status, again.replayed, again.body) == (201, 201, True, first.body)
    assert (other.status, other.code) == (409, "idempotency_key_reused")


def test_a_retry_of_an_erasure_is_replayed(shop: Service) -> None:
    first = shop.erase(MARIA, key="k")
    spend_for(shop, MARIA)

    again, other = shop.erase(MARIA, key="k"), shop.erase(OTHER, key="k")

    assert (again.status, again.body, again.replayed) == (201, first.body, True)
    assert other.code == "idempotency_key_reused"
    assert OTHER in str(shop.stored())


def test_another_erasure_counts_only_later_entries(shop: Service) -> None:
    shop.erase(MARIA)
    spend_for(shop, MARIA)

    assert shop.erase(MARIA).body["entries"] == 1
    assert shop.erase(MARIA).body["entries"] == 0
    assert shop.erase("nobody of this name").body["entries"] == 0


def test_an_unknown_account_is_not_found(service: Service) -> None:
    assert service.erase(MARIA).code == "account_not_found"
    assert service.stored() == {}


def test_another_accounts_entries_are_left_alone(shop: Service) -> None:
    shop.open("zoo", credits=5)
    shop(CONSUME, "zoo", json={"feature": "sticker", "customer": MARIA})

    shop.erase(MARIA)

    assert stored_form.line_of(entry_items(shop.stored(), "zoo")[-1])["customer"] == MARIA


def test_a_key_of_another_request_is_refused(shop: Service) -> None:
    assert shop.erase(MARIA, key="first").code == "idempotency_key_reused"
    assert spend_for(shop, MARIA, key=None).status == 201
    shop.erase(OTHER, key="erasure")
    assert spend_for(shop, MARIA, key="erasure").code == "idempotency_key_reused"


@pytest.mark.parametrize("writes", range(1, 10))
def test_an_interrupted_erasure_continues_and_counts_entries_once(shop: Service, writes: int) -> None:
    """Seven entries in pages of two: a begun walk, three placeholders, four saved places, the erasure's own entry."""
    client = shop.table.client

    with short_pages(client, 2):
        with killed_after(client, writes):
            shop.erase(MARIA, key="k")
        answer = shop.erase(MARIA, key="k")

    assert (answer.status, answer.body["entries"], answer.replayed) == (201, 3, writes == 9)
    assert types(shop.stored()).count("erasure") == 1
    assert MARIA not in str(shop.stored())
    assert verified(shop) == 0


def test_a_key_of_an_unfinished_erasure_erases_no_other_customer(shop: Service) -> None:
    with killed_after(shop.table.client, 4):
        shop.erase(MARIA, key="k")

    answer = shop.erase(OTHER, key="k")

    assert answer.code == "idempotency_key_reused"
    assert OTHER in str(shop.stored())


@pytest.mark.parametrize("call", ["GetItem", "Query", "PutItem", "UpdateItem", "TransactWriteItems"])
def test_two_customers_at_once_under_one_key_erase_one(shop: Service, call: str) -> None:
    met: list[Answer] = []

    with rivalled(shop.table.client, call, lambda: met.append(shop.erase(OTHER, key="k"))):
        answer = shop.erase(MARIA, key="k")

    served, refused = sorted([answer, *met], key=lambda each: each.status)
    assert (served.status, refused.code) == (201, "idempotency_key_reused")
    kept = OTHER if served is answer else MARIA
    assert served.body["entries"] == (3 if served is answer else 1)
    assert [line["customer"] for line in lines(shop.stored()) if "customer" in line] == [kept] * (
        1 if kept == OTHER else 3
    )
    assert verified(shop) == 0


def test_an_entry_is_counted_by_the_erasure_that_erases_it(shop: Service) -> None:
    met: list[Answer] = []

    with rivalled(shop.table.client, "UpdateItem", lambda: met.append(shop.erase(MARIA, key="other"))):
        answer = shop.erase(MARIA, key="k")

    assert answer.body["entries"] == 0
    assert [rival.body["entries"] for rival in met] == [3]


def test_a_lost_reply_of_a_mark_is_counted(shop: Service) -> None:
    with losing_replies(shop.table.client, "UpdateItem"):
        answer = shop.erase(MARIA)

    assert answer.body["entries"] == 3


def test_a_stored_statement_names_no_customer(shop: Service, clock: Clock) -> None:
    clock.now = clock.now.replace(month=clock.now.month + 2)

    assert shop(STATEMENT, month="2026-06").body["closed"]
    rows = [item for (partition, _), item in shop.stored().items() if partition.startswith("STATEMENT#")]
    assert rows
    assert MARIA not in json.dumps([item["body"] for item in rows])


@pytest.mark.parametrize("body", [{}, {"customer": ""}, {"customer": None}, {"customer": 7}, {"customer": "x" * 201}])
def test_an_erasure_without_a_proper_customer_is_rejected(shop: Service, body: dict[str, Any]) -> None:
    before = shop.stored()
    answer = shop(ERASE, json=body)
    assert (answer.status, answer.fields) == (422, ["customer"])
    assert shop.stored() == before


def test_a_retry_erases_what_the_deadline_left_over(shop: Service) -> None:
    shop.functions.limits["erasures"] = {"deadline_seconds": 0.0}
    assert shop.erase(MARIA, key="k", may_fail=True).code == "busy"
    del shop.functions.limits["erasures"]
    assert shop.erase(MARIA, key="k").body["entries"] == 3


def test_the_digest_of_the_customer_depends_on_the_secret(shop: Service) -> None:
    shop.erase(MARIA, key="k")
    deps = shop.functions.deps["erasures"]
    shop.functions.deps["erasures"] = replace(deps, cursor_secrets=lambda _: Versions(versions_of("another")))

    assert shop.erase(MARIA, key="k").code == "idempotency_key_reused"


def test_a_retry_after_the_secret_was_rotated_is_the_same_erasure(shop: Service) -> None:
    first = shop.erase(MARIA, key="k")
    rotated = Versions({1: shop.functions.deps["erasures"].cursor_secrets(NO_DEADLINE).value(1), 2: "new"})
    shop.functions.change("erasures", cursor_secrets=lambda _: rotated)

    again = shop.erase(MARIA, key="k")

    assert (again.status, again.body) == (201, first.body)
    assert shop.erase(OTHER, key="k").code == "idempotency_key_reused"
    assert shop.erase(OTHER, key="k2").body["entries"] == 1
    assert verified(shop) == 0


def test_a_walk_begun_before_a_rotation_is_continued(shop: Service) -> None:
    with killed_after(shop.table.client, 4):
        shop.erase(MARIA, key="k")
    rotated = Versions({1: shop.functions.deps["erasures"].cursor_secrets(NO_DEADLINE).value(1), 2: "new"})
    shop.functions.change("erasures", cursor_secrets=lambda _: rotated)

    assert shop.erase(OTHER, key="k").code == "idempotency_key_reused"
    assert shop.erase(MARIA, key="k").body["entries"] == 3


def test_an_entry_written_during_the_walk_is_erased_too(shop: Service) -> None:
    with Wire.tapped(shop.table.client) as wire:
        wire.plan("TransactWriteItems", lambda _: (spend_for(shop, MARIA), None)[1])
        answer = shop.erase(MARIA)

    assert (answer.status, answer.body["entries"], answer.body["entry"]) == (201, 4, 9)
    assert MARIA not in str(shop.stored())
