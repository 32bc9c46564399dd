"""What a stack costs: `make costs` prints the tables of docs/costs.md, `python -m bench.costs --write` renews them.

PRICES are list prices of us-east-1 without free tiers. Numbers of resources come from template.yaml, and capacity units
from the sizes of what a debit writes. ASSUMED has the figures that only a real stack could tell.
"""

import argparse
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from math import ceil
from pathlib import Path
from typing import Any

import yaml

from bench import growth, growth_of_operations
from bench.item_sizes import KILOBYTE, size
from prepaid.core.account import Account, Lot, Terms
from prepaid.core.cloud_events import cloud_event_text
from prepaid.core.entry import Entry
from prepaid.core.events import events_of
from prepaid.core.ledger import Debit, apply
from prepaid.store.catalog import first_catalog
from prepaid.store.items import GENESIS_HASH, SALT_BYTES, entry_to_item, key_digest, request_hash
from prepaid.store.ledger import Effect, claim_put
from prepaid.store.publishing import cursor_item, feed_item, feed_row_of_entry

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs/costs.md"
MILLION, GIGABYTE = 1_000_000, 10**9
CENT = 0.01
MONTH_HOURS, MONTH_DAYS = 730, 30.4

# Dollars in us-east-1, as listed in 2026-11, by the page of AWS that lists them. The pages have the other regions too.
PRICE_LISTS = {
    "https://aws.amazon.com/secrets-manager/pricing/": {
        "secret, a month": 0.40,
        "Secrets Manager call": 0.05 / 10_000,
    },
    "https://aws.amazon.com/cloudwatch/pricing/": {
        "alarm, a month": 0.10,  # of one metric
        "metric, a month": 0.30,
        "dashboard, a month": 3.00,
        "log, a GB": 0.50,
        "log storage, a GB a month": 0.03,
    },
    "https://aws.amazon.com/dynamodb/pricing/on-demand/": {
        "write unit": 0.625 / MILLION,
        "read unit": 0.125 / MILLION,
        "table storage, a GB a month": 0.25,
        "point-in-time recovery, a GB a month": 0.20,
    },
    "https://aws.amazon.com/api-gateway/pricing/": {"HTTP API request": 1.00 / MILLION},
    "https://aws.amazon.com/lambda/pricing/": {
        "Lambda request": 0.20 / MILLION,
        "Lambda on arm64, a GB-second": 0.0000133334,
    },
    "https://aws.amazon.com/eventbridge/pricing/": {"schedule": 1.00 / MILLION, "event on a bus": 1.00 / MILLION},
    "https://aws.amazon.com/sqs/pricing/": {"FIFO request": 0.50 / MILLION},
    "https://aws.amazon.com/cognito/pricing/": {
        "machine token": 2.25 / 1000,
        "machine client, a month": 6.00,  # listed until 2025
    },
    "https://aws.amazon.com/ec2/pricing/on-demand/#Data_Transfer": {"data to the internet, a GB": 0.09},
}
PRICES = {name: price for prices in PRICE_LISTS.values() for name, price in prices.items()}

# CloudWatch's free tier, which doesn't end.
FREE_TIER = {"alarm, a month": 10, "metric, a month": 10, "dashboard, a month": 3}

# Only a real stack can tell these: correct them by your bill. tests/infra/test_costs.py holds the sizes of log lines.
ASSUMED = {
    "seconds of a debit, 512 MB": 0.05,
    "seconds of publishing an event, 512 MB": 0.05,
    "seconds of delivering an event, 512 MB": 0.1,
    "bytes of a function's log lines, a request": 700,
    "bytes of the publisher's log lines, a run": 1_200,
    "bytes of an access log line": 450,
    "bytes of a response, with headers": 600,
    "rows that the verifier checks in a second, 1 GB": 1_000,
    "seconds of an idle job": 0.5,
    "read units of the jobs in an idle hour": 40,
    "polls of an empty queue by Lambda, an hour": 900,
}
# Each run of a job publishes these, also while nobody spends.
JOB_METRICS = (
    "PurchasesHealed",
    "ReconciliationFailures",
    "ReconciliationOldestFailure",
    "ReconciliationBehind",
    "LotsExpired",
    "SweepFailures",
    "RowsVerified",
    "EventsPublished",
    "EventsFoundLate",
)
# Published only in hours in which they change. Spent credits have a metric for each feature.
BUSINESS_METRICS = (
    "CreditsSold",
    "CreditsGranted",
    "CreditsExpired",
    "CreditsTakenBack",
    "CreditsOwed",
    "SpendingRefused",
    "CodesLocked",
)
# The template's condition on resources that only a stack with a webhook has.
WEBHOOK = "HasWebhook"
# Send, receive and delete each delivered event.
QUEUE_REQUESTS = 3
METRICS_OF_A_ROUTE = 6
# The usual debit, as a caller sends it.
DEBIT: dict[str, Any] = {
    "feature": "sticker",
    "quantity": 10,
    "description": "Sticker, square",
    "customer": "cus_8f14e45f",
    "reference": "order-000123",
}
KEY = growth.KEY
# The `source` of a stack's events.
SOURCE = "prepaid/prepaid"
# DynamoDB adds this to each item's size when it counts storage.
ITEM_OVERHEAD_BYTES = 100


@dataclass(frozen=True, slots=True)
class Cost:
    """One line of a table: an item and its dollars."""

    item: str
    dollars: float


def usual_debit() -> tuple[Account, Entry, Debit]:
    """An account of three lots, the entry of a debit with all texts, and the debit."""
    now = datetime(2026, 11, 27, 12, tzinfo=UTC)
    lots = tuple(
        Lot(
            number=180 + number,
            kind="purchase",
            granted=1_000,
            remaining=1_000,
            granted_at=now + timedelta(days=number),
            expires_at=now + timedelta(days=365 + number),
        )
        for number in range(3)
    )
    plan = first_catalog().plans[0]
    account = Account(
        id="petshop-4711",
        number=12_345,
        at=now,
        terms=Terms(plan=plan.id, ai_enabled=True, quota_anchor_day=15, time_zone="America/Sao_Paulo"),
        quotas_used={},
        quota_renews_at=now + timedelta(days=3),
        lots=lots,
        holds=(),
    )
    debit = Debit(actor="4k2m9qv7h1c8r3t5w6x0y2z4b6", **DEBIT)
    [entry] = apply(account, debit, catalog=first_catalog(), now=now)
    return account, replace(entry, key=key_digest(KEY)), debit


def rows_of_a_debit() -> tuple[int, int]:
    """The sizes, in bytes, of the usual debit's entry and claim."""
    account, entry, debit = usual_debit()
    row = entry_to_item(entry, GENESIS_HASH, bytes(range(SALT_BYTES)))
    return size(row), size(claim_put(account.id, KEY, Effect(request_hash(debit), entry))["Item"])


def rows_of_an_event() -> tuple[int, int]:
    """Bytes of the account's cursor and of the row in the feed when the usual debit is published."""
    account, entry, _ = usual_debit()
    events = events_of(account, entry, first_catalog())
    row = feed_row_of_entry(account.id, entry.number, (cloud_event_text(event, SOURCE) for event in events))
    return size(cursor_item(account.id, entry.number, entry.at)), size(feed_item(row, entry.at))


def write_units(*sizes: int) -> int:
    """The write units of one transaction that writes rows of these sizes."""
    return sum(2 * ceil(row_bytes / KILOBYTE) for row_bytes in sizes)


def read_units(bytes_: float, *, consistent: bool) -> float:
    """The read units of many rows that are read in pages, without the rounding of each page."""
    return bytes_ / (4 * KILOBYTE) * (1 if consistent else 0.5)


def idle(template: Mapping[str, Any]) -> list[Cost]:
    """The costs of a stack without a webhook in a month in which nobody uses it."""
    counts = count_resources(without_webhook(template))
    runs = counts["AWS::Scheduler"] * MONTH_HOURS
    seconds = runs * ASSUMED["seconds of an idle job"]
    jobs = (
        runs * (PRICES["schedule"] + PRICES["Lambda request"])
        + seconds * PRICES["Lambda on arm64, a GB-second"]
        + MONTH_HOURS * ASSUMED["read units of the jobs in an idle hour"] * PRICES["read unit"]
        + runs * PRICES["Secrets Manager call"]
    )
    return [
        _each(counts["AWS::SecretsManager::Secret"], "secrets", "secret, a month"),
        _each(counts["metrics of alarms"], f"metrics of {counts['AWS::CloudWatch::Alarm']} alarms", "alarm, a month"),
        _each(counts["AWS::CloudWatch::Dashboard"], "dashboard", "dashboard, a month"),
        _each(len(JOB_METRICS), "metrics that the jobs publish in each run", "metric, a month"),
        Cost(f"{counts['AWS::Scheduler']} schedules, {runs:,} short runs", jobs),
    ]


def free_of_idle(template: Mapping[str, Any]) -> float:
    """The dollars that CloudWatch's free tier takes off an idle month, if no other stack of the account uses it."""
    counts = count_resources(without_webhook(template))
    used = {
        "alarm, a month": counts["metrics of alarms"],
        "metric, a month": len(JOB_METRICS),
        "dashboard, a month": counts["AWS::CloudWatch::Dashboard"],
    }
    return sum(min(used[name], free) * PRICES[name] for name, free in FREE_TIER.items())


def per_million_debits() -> list[Cost]:
    """The costs of a million debits in the month in which they are made.

    Each event is published alone, which costs most.
    """
    entry, claim = rows_of_a_debit()
    cursor, feed = rows_of_an_event()
    writes, event_writes, event_reads = write_units(entry, claim), write_units(cursor, feed), growth.event_reads(entry)
    logs = ASSUMED["bytes of a function's log lines, a request"] + ASSUMED["bytes of an access log line"]
    logs += ASSUMED["bytes of the publisher's log lines, a run"]
    stored = (feed + ITEM_OVERHEAD_BYTES) * MILLION / GIGABYTE
    return [
        Cost(
            f"DynamoDB: {writes} write units and 1 read unit a debit, however long the history is",
            MILLION * (writes * PRICES["write unit"] + PRICES["read unit"]),
        ),
        Cost(
            f"DynamoDB: {event_writes} write units and {event_reads} read units for its event",
            MILLION * (event_writes * PRICES["write unit"] + event_reads * PRICES["read unit"]),
        ),
        Cost(
            f"storage of {stored:.1f} GB of events for a month, with its point-in-time recovery",
            stored * (PRICES["table storage, a GB a month"] + PRICES["point-in-time recovery, a GB a month"]),
        ),
        Cost("EventBridge: its event", MILLION * PRICES["event on a bus"]),
        Cost("API Gateway", MILLION * PRICES["HTTP API request"]),
        _functions("a debit", "seconds of a debit, 512 MB"),
        _functions("publishing its event", "seconds of publishing an event, 512 MB"),
        Cost(
            f"logs: {logs:,} bytes a debit, kept for a month",
            MILLION * logs / GIGABYTE * (PRICES["log, a GB"] + PRICES["log storage, a GB a month"]),
        ),
        Cost(
            "data to the internet, if the callers are outside AWS",
            MILLION * ASSUMED["bytes of a response, with headers"] / GIGABYTE * PRICES["data to the internet, a GB"],
        ),
        Cost("the verifier's recent passes, over what is new", MILLION * recent_pass_of_a_debit()),
    ]


def _functions(what: str, seconds: str) -> Cost:
    """The cost of a million runs of a function with 512 MB. seconds: the name of its duration in ASSUMED."""
    duration = ASSUMED[seconds] * 0.5 * PRICES["Lambda on arm64, a GB-second"]
    item = f"Lambda: {what}, 512 MB for {ASSUMED[seconds] * 1000:.0f} ms"
    return Cost(item, MILLION * (PRICES["Lambda request"] + duration))


def per_million_events() -> float:
    """Dollars to publish, store and log the events of a million debits; `per_million_debits` includes them."""
    logs = ASSUMED["bytes of the publisher's log lines, a run"] / GIGABYTE
    events = sum(cost.dollars for cost in per_million_debits() if "event" in cost.item)
    return events + MILLION * logs * (PRICES["log, a GB"] + PRICES["log storage, a GB a month"])


def besides_units() -> float:
    """Dollars of a million debits without the units that depend on the size of the entry."""
    entry, _ = rows_of_a_debit()
    [of_the_debit, *others] = per_million_debits()
    assert of_the_debit.item.startswith("DynamoDB")
    return sum(cost.dollars for cost in others) - MILLION * growth.event_reads(entry) * PRICES["read unit"]


def per_million_deliveries() -> float:
    """Dollars of a million events that the webhook accepts at once."""
    _, feed = rows_of_an_event()
    logs = ASSUMED["bytes of the publisher's log lines, a run"] / GIGABYTE
    return _functions("a delivery", "seconds of delivering an event, 512 MB").dollars + MILLION * (
        QUEUE_REQUESTS * PRICES["FIFO request"]
        # Whether the receiver has asked for no more events.
        + PRICES["read unit"]
        + logs * (PRICES["log, a GB"] + PRICES["log storage, a GB a month"])
        + feed / GIGABYTE * PRICES["data to the internet, a GB"]
    )


def recent_pass_of_a_debit() -> float:
    """Dollars of checking a new entry once."""
    entry, _ = rows_of_a_debit()
    compute = PRICES["Lambda on arm64, a GB-second"] / ASSUMED["rows that the verifier checks in a second, 1 GB"]
    return read_units(entry, consistent=True) * PRICES["read unit"] + compute


def whole_pass_of_a_debit() -> float:
    """Dollars of checking an entry and its claim once: both are scanned, and the entry is fetched for its claim."""
    entry, claim = rows_of_a_debit()
    units = read_units(entry + claim, consistent=False) + 0.5 * ceil(entry / (4 * KILOBYTE))
    compute = 2 * PRICES["Lambda on arm64, a GB-second"] / ASSUMED["rows that the verifier checks in a second, 1 GB"]
    return units * PRICES["read unit"] + compute


def per_million_ever_made(whole_days: int) -> list[Cost]:
    """The monthly costs of keeping and verifying a million debits after the month in which they are made."""
    gigabytes = (sum(rows_of_a_debit()) + 2 * ITEM_OVERHEAD_BYTES) * MILLION / GIGABYTE
    passes = MONTH_DAYS / whole_days
    return [
        Cost(f"storage of {gigabytes:.1f} GB", gigabytes * PRICES["table storage, a GB a month"]),
        Cost("its point-in-time recovery", gigabytes * PRICES["point-in-time recovery, a GB a month"]),
        Cost(f"the verifier's whole passes, every {whole_days} days", MILLION * whole_pass_of_a_debit() * passes),
    ]


def options(template: Mapping[str, Any], whole_days: int) -> list[Cost]:
    """The monthly costs that depend on parameters and callers."""
    counts = count_resources(template)
    daily, monthly = (MILLION * whole_pass_of_a_debit() * MONTH_DAYS / days for days in (1, 28))
    pool = counts["AWS::Cognito::UserPoolClient"]
    metrics = counts["routes"] * METRICS_OF_A_ROUTE * PRICES["metric, a month"]
    always = count_resources(without_webhook(template))
    secrets, alarms = (counts[kind] - always[kind] for kind in ("AWS::SecretsManager::Secret", "metrics of alarms"))
    features = len(first_catalog().features)
    business = len(BUSINESS_METRICS) + features
    polls = MONTH_HOURS * ASSUMED["polls of an empty queue by Lambda, an hour"] * PRICES["FIFO request"]
    return [
        Cost(
            f"`WebhookTarget`: {secrets} secret, {alarms} alarms, and Lambda's polls of its queue",
            secrets * PRICES["secret, a month"] + alarms * PRICES["alarm, a month"] + polls,
        ),
        Cost("a million events on the bus and in the feed, included in the million debits above", per_million_events()),
        Cost("`WebhookTarget`, for a million events", per_million_deliveries()),
        Cost(
            f"{business} metrics of credits and refusals, if each moves every hour, with {features} features",
            business * PRICES["metric, a month"],
        ),
        Cost("one process that always has a token, `TokenHours` 1", MONTH_HOURS * PRICES["machine token"]),
        Cost("the same, `TokenHours` 24", MONTH_HOURS / 24 * PRICES["machine token"]),
        Cost(
            f"{pool} machine clients, if AWS still charges {PRICES['machine client, a month']:.2f} each",
            pool * PRICES["machine client, a month"],
        ),
        Cost(f"`DetailedMetrics` true, with all {counts['routes']} routes in use", metrics),
        Cost("`VerifyWholeDays` 1, for each million debits ever made", daily),
        Cost(f"`VerifyWholeDays` 28 instead of {whole_days}, for each million debits ever made", monthly),
    ]


def without_webhook(template: Mapping[str, Any]) -> dict[str, Any]:
    """The template with only the resources that a stack without WebhookTarget has."""
    resources = {
        name: resource for name, resource in template["Resources"].items() if resource.get("Condition") != WEBHOOK
    }
    return {**template, "Resources": resources}


def count_resources(template: Mapping[str, Any]) -> dict[str, int]:
    """Resources by type; of the functions' events, the routes and the schedules; the metrics that alarms read."""
    counts = {
        "AWS::Scheduler": 0,
        "metrics of alarms": 0,
        "routes": 0,
    }
    for resource in template["Resources"].values():
        counts[resource["Type"]] = counts.get(resource["Type"], 0) + 1
        if resource["Type"] == "AWS::CloudWatch::Alarm":
            # An alarm that computes with several metrics costs as much as one alarm on each of them.
            metrics = resource["Properties"].get("Metrics", [{"MetricStat": {}}])
            counts["metrics of alarms"] += sum("MetricStat" in metric for metric in metrics)
        for event in resource["Properties"].get("Events", {}).values():
            if event["Type"] in {"HttpApi", "ScheduleV2"}:
                counts["routes" if event["Type"] == "HttpApi" else "AWS::Scheduler"] += 1
    return counts


def tables(template: Mapping[str, Any]) -> str:
    """The lines of the document's tables."""
    whole_days = int(template["Parameters"]["VerifyWholeDays"]["Default"])
    return "\n".join(
        [
            *_table("idle, a month", idle(template)),
            f"| with CloudWatch's free tier: {_list_of(FREE_TIER)} | **{_without_free(template):.2f}** |",
            "",
            *_table("a million debits, once", per_million_debits()),
            "",
            *_table("each million debits ever made, a month", per_million_ever_made(whole_days)),
            "",
            *_table("depends on you, a month", options(template, whole_days), total=False),
            "",
            "**All costs of a million debits, by the state of the account.**",
            "",
            *growth.table(besides_units(), PRICES["write unit"], PRICES["read unit"]),
            "",
            "**Each operation, by the state of the account:** bytes of an entry, read units + write units.",
            "",
            *growth_of_operations.table(),
            "",
            *_prices(),
        ]
    )


def renewed(document: str, text: str) -> str:
    """The document with these tables between its two marks."""
    return re.sub(r"(?<=<!-- make costs -->\n).*(?=\n<!-- end -->)", lambda _: f"\n{text}\n", document, flags=re.DOTALL)


def read_template() -> dict[str, Any]:
    """template.yaml as a dictionary. A short tag of CloudFormation, such as !Ref, becomes its argument."""

    class Loader(yaml.SafeLoader):
        pass

    def untagged(loader: yaml.SafeLoader, _tag: str, node: yaml.Node) -> Any:
        if isinstance(node, yaml.ScalarNode):
            return loader.construct_scalar(node)
        assert isinstance(node, yaml.SequenceNode)
        return loader.construct_sequence(node, deep=True)

    Loader.add_multi_constructor("!", untagged)
    template: dict[str, Any] = yaml.load((ROOT / "template.yaml").read_text("utf-8"), Loader)  # noqa: S506 - a safe loader
    return template


def _list_of(free: Mapping[str, int]) -> str:
    """For example "10 alarms, 10 metrics"."""
    return ", ".join(f"{number} {name.removesuffix(', a month')}s" for name, number in free.items())


def _without_free(template: Mapping[str, Any]) -> float:
    return sum(cost.dollars for cost in idle(template)) - free_of_idle(template)


def _prices() -> Iterator[str]:
    """The table of prices and the pages that list them. A price below a cent is given for a million."""
    yield "| price | dollars | listed by AWS |"
    yield "|---|---:|---|"
    for page, prices in PRICE_LISTS.items():
        for name, price in prices.items():
            unit, dollars = (" (a million)", price * MILLION) if price < CENT else ("", price)
            yield f"| {name}{unit} | {dollars:,.3f} | [{page.split('/')[3]}]({page}) |"


def _each(number: int, name: str, price: str) -> Cost:
    return Cost(f"{number} {name}, {PRICES[price]:.2f} each", number * PRICES[price])


def _table(title: str, costs: Sequence[Cost], *, total: bool = True) -> Iterator[str]:
    yield f"| {title} | dollars |"
    yield "|---|---:|"
    for cost in costs:
        if cost.dollars:
            yield f"| {cost.item} | {cost.dollars:.2f} |"
    if total:
        yield f"| **total** | **{sum(cost.dollars for cost in costs):.2f}** |"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program. Returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.costs", description=__doc__)
    parser.add_argument("--write", action="store_true", help="renew the tables in docs/costs.md")
    parser.add_argument("--check", action="store_true", help="fail if the tables in docs/costs.md are stale")
    options = parser.parse_args(arguments)
    text, document = tables(read_template()), DOCUMENT.read_text("utf-8")
    if options.write:
        DOCUMENT.write_text(renewed(document, text), "utf-8")
    elif options.check and renewed(document, text) != document:
        print("docs/costs.md is stale: run 'make generate'", file=sys.stderr)
        return 1
    elif not options.check:
        print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
