"""docs/events.schema.json describes every event as it is sent, and no member of an event can hold a text."""

import json
from pathlib import Path
from typing import Any, get_args

import pytest

from prepaid.api import event_schema
from prepaid.core.entry import EntryType
from prepaid.core.events import Alert, alert_event, entry_event
from prepaid.use_cases.publishing import publish_changes
from prepaid.use_cases.warning import publish_warnings
from tests.support.aws_in_process import empty_table
from tests.support.contract import Strict, closed
from tests.support.eventful_accounts import live
from tests.support.publishing import Outside, Publisher, feed
from tests.support.store_driver import DAY, HOUR, NOW, StoreDriver, stored

DOCUMENT: dict[str, Any] = json.loads((Path(__file__).parents[2] / event_schema.FILE).read_text("utf-8"))
# Consumers accept members that they don't know. Here, each member must be described.
VALIDATOR = Strict({**closed(DOCUMENT), "allOf": DOCUMENT["allOf"]})
TYPES = {entry_event(type_) for type_ in get_args(EntryType)} | {alert_event(alert) for alert in get_args(Alert)}


@pytest.fixture(scope="module")
def events(aws: None) -> list[dict[str, Any]]:
    """What was published of accounts with every kind of entry and alert."""
    table = empty_table()
    driver = StoreDriver(table)
    live(driver)
    driver.open("ending")
    driver.grant(5, account="ending", validity=NOW + 7 * DAY - HOUR)
    purchases = [key for key in stored(table) if key[1].startswith("PURCHASE#")]
    later = Publisher(table, Outside(), now=NOW + 6 * DAY)
    publish_changes(later.context(), purchases)
    publish_warnings(later.context())
    assert later.failures == []
    return feed(table) + later.outside.bus


def test_a_sample_of_every_type_fits_the_schema(events: list[dict[str, Any]]) -> None:
    assert {event["type"] for event in events} == TYPES
    assert [(event, error.message) for event in events for error in VALIDATOR.iter_errors(event)] == []


def test_the_schema_says_of_each_type_what_it_always_has() -> None:
    described = [rule["if"]["properties"]["type"]["const"] for rule in DOCUMENT["allOf"]]

    assert sorted(described) == sorted(TYPES)


@pytest.mark.parametrize("member", ["description", "customer", "reference", "reason", "name", "key", "actor"])
def test_a_member_for_a_text_does_not_fit(events: list[dict[str, Any]], member: str) -> None:
    event = events[0]

    assert not VALIDATOR.is_valid({**event, "data": {**event["data"], member: "Maria"}})
    assert not VALIDATOR.is_valid({**event, member: "Maria"})


def test_each_text_of_an_event_has_a_pattern_that_no_sentence_fits() -> None:
    data = DOCUMENT["$defs"]["EventDataResponse"]["properties"]

    for member, schema in data.items():
        validator = Strict(closed({**schema, "$defs": DOCUMENT["$defs"]}))
        assert not validator.is_valid("a photo of Ana"), member
        assert not validator.is_valid(["a photo of Ana"]), member


@pytest.mark.parametrize("missing", ["balance", "entry", "credits"])
def test_an_entry_without_its_numbers_does_not_fit(events: list[dict[str, Any]], missing: str) -> None:
    event = next(event for event in events if event["type"] == "prepaid.entry.consumption")

    assert not VALIDATOR.is_valid({**event, "data": {k: v for k, v in event["data"].items() if k != missing}})
