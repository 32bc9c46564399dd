"""GET /v1/accounts/{account}/events: what each entry means to other systems, in the order of the ledger."""

from typing import Any

import pytest

from tests.support.account_life import DETAILS
from tests.support.api import CONSUME, EVENTS, PATCH_ACCOUNT, PUT_CATALOG
from tests.support.functions import STACK
from tests.support.in_process import Service


def page(service: Service, **query: str) -> Any:
    answer = service(EVENTS, query=query)
    assert answer.status == 200, answer
    return answer.body


def types(service: Service, **query: str) -> list[str]:
    return [event["type"].removeprefix("prepaid.") for event in page(service, **query)["events"]]


def test_the_events_of_a_ledger_are_listed_in_its_order(service: Service) -> None:
    service.open(credits=12)
    service.spend(2)
    service.spend(10)

    assert types(service) == [
        "entry.plan_change",
        "entry.grant",
        "entry.consumption",
        "alert.credits_low",
        "entry.consumption",
        "alert.credits_exhausted",
    ]


def test_an_event_is_a_cloud_event_without_texts(service: Service) -> None:
    service.open(credits=12)
    spent = service(CONSUME, json={"feature": "sticker", "quantity": 1, **DETAILS})

    (event,) = page(service, after="2")["events"]

    assert event == {
        "specversion": "1.0",
        "id": event["id"],
        "source": f"prepaid/{STACK}",
        "type": "prepaid.entry.consumption",
        "subject": "acme",
        "time": spent.body["created_at"],
        "datacontenttype": "application/json",
        "dataschema": "urn:prepaid:event:v1",
        "data": {
            "account": "acme",
            "entry": 3,
            "feature": "sticker",
            "quantity": 1,
            "credits": -1,
            "quota": 0,
            "owed": 0,
            "source": "credits",
            "balance": {"available": 11, "held": 0, "owed": 0, "quota_remaining": 0},
        },
    }


def test_pages_join_without_gaps_or_repeats(service: Service) -> None:
    service.open(credits=12)
    for _ in range(5):
        service.spend(2)
    whole = page(service)

    found, after = [], "0"
    while (part := page(service, after=after, limit="2"))["events"]:
        found += part["events"]
        after = str(part["next"])

    assert found == whole["events"]
    assert int(after) == whole["next"] == 7


def test_an_event_keeps_its_id(service: Service) -> None:
    service.open(credits=12)

    first, again = page(service), page(service)

    assert first == again
    assert len({event["id"] for event in first["events"]}) == len(first["events"])


def test_nothing_new_is_an_empty_page(service: Service) -> None:
    service.open(credits=12)

    assert page(service, after="2") == {"events": [], "next": 2}


def test_a_quota_alert_counts_the_catalog_of_its_time(service: Service) -> None:
    service.open(plan="individual", ai_enabled=True)
    service.spend(79, "ai_service")
    service.spend(1, "ai_service")
    catalog = {
        "features": [{"id": "sticker", "price": 1}, {"id": "ai_service", "price": 1}],
        "plans": [{"id": "none", "quotas": {}}, {"id": "individual", "quotas": {"ai_service": 1000}}],
        "packs": [],
    }
    assert service(PUT_CATALOG, json=catalog, headers={"if-match": '"1"'}).status == 200

    assert types(service, after="2") == ["entry.consumption", "alert.quota_80"]


def test_a_frozen_account_still_lists_its_events(service: Service) -> None:
    service.open(credits=12)
    service(PATCH_ACCOUNT, json={"status": "frozen"})

    assert types(service, after="2") == ["entry.plan_change"]


@pytest.mark.parametrize(
    ("query", "field", "reason"),
    [
        ({"after": "-1"}, "after", "must be the number of an entry, or 0"),
        ({"after": "x"}, "after", "must be the number of an entry, or 0"),
        ({"after": "1" * 13}, "after", "must be the number of an entry, or 0"),
        ({"after": "3"}, "after", "must be at most 2, the number of the account's newest entry"),
        ({"limit": "0"}, "limit", "must be a whole number from 1 to 100"),
        ({"limit": "101"}, "limit", "must be a whole number from 1 to 100"),
    ],
)
def test_a_bad_query_names_what_is_wrong(service: Service, query: dict[str, str], field: str, reason: str) -> None:
    service.open(credits=12)

    answer = service(EVENTS, query=query)

    assert (answer.status, answer.code) == (422, "invalid_request")
    assert [(error["field"], error["message"]) for error in answer.body["errors"]] == [(field, reason)]


@pytest.mark.parametrize("after", ["0", "7"])
def test_an_unknown_account_has_no_events(service: Service, after: str) -> None:
    assert service(EVENTS, "nobody", query={"after": after}).code == "account_not_found"
