"""What a stack costs: `make costs` prints the tables of docs/costs.md, `python -m bench.costs --write` renews them.

PRICES are list prices of us-east-1 without free tiers. Numbers of resources come from template.yaml, and capacity units
from the sizes of what a debit writes. What only a real stack could tell is in ASSUMED.
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

from bench import growth
from bench.item_sizes import KILOBYTE, size
from prepaid.core.account import Account, Lot, Terms
from prepaid.core.cloud_events import cloud_event_text
from prepaid.core.entry import Entry
from prepaid.core.events import events_of
from prepaid.core.ledger import Debit, apply
from prepaid.store.catalog import first_catalog
from prepaid.store.items import GENESIS_HASH, SALT_BYTES, entry_to_item, key_digest
from prepaid.store.ledger import claim_put
from prepaid.store.publishing import feed_item, feed_row_of_entry

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs/costs.md"
MILLION, GIGABYTE = 1_000_000, 10**9
MONTH_HOURS, MONTH_DAYS = 730, 30.4

# Dollars; us-east-1, 2026-11. docs/costs.md links the pages, which have the other regions too.
PRICES = {
    "secret, a month": 0.40,
    "alarm, a month": 0.10,  # of one metric
    "composite alarm, a month": 0.50,
    "metric, a month": 0.30,
    "write unit": 0.625 / MILLION,
    "read unit": 0.125 / MILLION,
    "table storage, a GB a month": 0.25,
    "point-in-time recovery, a GB a month": 0.20,
    "HTTP API request": 1.00 / MILLION,
    "Lambda request": 0.20 / MILLION,
    "Lambda on arm64, a GB-second": 0.0000133334,
    "log, a GB": 0.50,
    "log storage, a GB a month": 0.03,
    "data to the internet, a GB": 0.09,
    "machine token": 2.25 / 1000,
    "Secrets Manager call": 0.05 / 10_000,
    "schedule": 1.00 / MILLION,
    "event on the bus": 1.00 / MILLION,
    "SQS FIFO request": 0.50 / MILLION,
}

# What only a real stack tells: correct these by your own bill. tests/infra/test_costs.py holds the sizes of log lines.
ASSUMED = {
    "seconds of a debit, 512 MB": 0.05,
    "bytes of a function's log lines, a request": 700,
    "bytes of an access log line": 450,
    "bytes of a response, with headers": 600,
    "rows that the verifier checks in a second, 1 GB": 1_000,
    "seconds of publishing an event, 512 MB": 0.05,
    "seconds of a delivery, 512 MB": 0.1,
    "seconds of an idle job": 0.5,
    "read units of the jobs in an idle hour": 40,
}
# Published by every run of a job, so also while nobody spends.
JOB_METRICS = (
    "PurchasesHealed",
    "ReconciliationFailures",
    "ReconciliationOldestFailure",
    "ReconciliationBehind",
    "LotsExpired",
    "SweepFailures",
    "RowsVerified",
    "EventsPublished",
)
# Of an event whose entry comes alone: its cursor twice, its account's entries twice, and the catalog.
# tests/store/test_cost_of_publishing.py holds the number against the database.
READ_UNITS_OF_AN_EVENT = 5
# Sent, received and deleted.
REQUESTS_OF_A_DELIVERY = 3
FEED_MONTHS = 1
METRICS_OF_A_ROUTE = 6
# The usual debit, as a caller sends it.
DEBIT: dict[str, Any] = {
    "feature": "sticker",
    "quantity": 10,
    "description": "Sticker, square",
    "customer": "cus_8f14e45f",
    "reference": "order-000123",
}
# DynamoDB adds this to each item's size when it counts storage.
ITEM_OVERHEAD_BYTES = 100


@dataclass(frozen=True, slots=True)
class Cost:
    """One line of a table: an item and its dollars."""

    item: str
    dollars: float


def usual_debit() -> tuple[Account, Debit, Entry]:
    """The account before a debit, the debit and its entry: of three lots, with all texts."""
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
    return account, debit, entry


def rows_of_a_debit() -> tuple[int, int]:
    """Bytes of the entry and of the claim of a usual debit, with a UUID as its key."""
    account, debit, entry = usual_debit()
    key = "5f1c1b52-6a50-4d0e-9df0-0d4f1d5f5a11"
    row = entry_to_item(replace(entry, key=key_digest(key)), GENESIS_HASH, bytes(range(SALT_BYTES)))
    return size(row), size(claim_put(account.id, key, debit, entry.number)["Item"])


def row_of_an_event() -> int:
    """Bytes of the feed's row of a usual debit."""
    account, _, entry = usual_debit()
    events = events_of(account, entry, first_catalog())
    row = feed_row_of_entry(account.id, entry.number, (cloud_event_text(event, "prepaid/prepaid") for event in events))
    return size(feed_item(row, entry.at))


def write_units(*sizes: int) -> int:
    """Of one transaction."""
    return sum(2 * ceil(bytes_ / KILOBYTE) for bytes_ in sizes)


def read_units(bytes_: float, *, consistent: bool) -> float:
    """Of many rows that are read in pages, so that only the sum is rounded."""
    return bytes_ / (4 * KILOBYTE) * (1 if consistent else 0.5)


def idle(template: Mapping[str, Any]) -> list[Cost]:
    """A month of a stack that nobody uses."""
    counts = count_resources(template)
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
        _each(counts["AWS::CloudWatch::CompositeAlarm"], "composite alarms", "composite alarm, a month"),
        _each(len(JOB_METRICS), "metrics that the jobs publish in each run", "metric, a month"),
        Cost(f"{counts['AWS::Scheduler']} schedules, {runs:,} short runs", jobs),
    ]


def per_million_debits() -> list[Cost]:
    """A million debits in the month in which they are made."""
    entry, claim = rows_of_a_debit()
    writes = write_units(entry, claim)
    logs = ASSUMED["bytes of a function's log lines, a request"] + ASSUMED["bytes of an access log line"]
    return [
        Cost(
            f"DynamoDB: {writes} write units and 1 read unit a debit, however long the history is",
            MILLION * (writes * PRICES["write unit"] + PRICES["read unit"]),
        ),
        Cost("API Gateway", MILLION * PRICES["HTTP API request"]),
        _function("seconds of a debit, 512 MB", "a debit"),
        Cost(
            f"logs: {logs:,} bytes a request, kept for a month",
            MILLION * logs / GIGABYTE * (PRICES["log, a GB"] + PRICES["log storage, a GB a month"]),
        ),
        Cost(
            "data to the internet, if the callers are outside AWS",
            MILLION * ASSUMED["bytes of a response, with headers"] / GIGABYTE * PRICES["data to the internet, a GB"],
        ),
        Cost("the verifier's recent passes, over what is new", MILLION * recent_pass_of_a_debit()),
    ]


def per_million_events() -> list[Cost]:
    """A million debits that are published one by one."""
    row = row_of_an_event()
    # The cursor is a row far below a kilobyte.
    writes = write_units(1, row)
    gigabytes = (row + ITEM_OVERHEAD_BYTES) * MILLION / GIGABYTE * FEED_MONTHS
    return [
        Cost(
            f"DynamoDB: {writes} write units and {READ_UNITS_OF_AN_EVENT} read units an event",
            MILLION * (writes * PRICES["write unit"] + READ_UNITS_OF_AN_EVENT * PRICES["read unit"]),
        ),
        Cost("EventBridge", MILLION * PRICES["event on the bus"]),
        _function("seconds of publishing an event, 512 MB", "an event"),
        _logs("an event"),
        Cost(
            f"the feed: {gigabytes:.1f} GB for 30 days, with point-in-time recovery",
            gigabytes * (PRICES["table storage, a GB a month"] + PRICES["point-in-time recovery, a GB a month"]),
        ),
    ]


def per_million_deliveries() -> list[Cost]:
    """A million events that the webhook accepts at the first try."""
    requests = REQUESTS_OF_A_DELIVERY
    return [
        Cost(f"SQS: {requests} requests a delivery", MILLION * requests * PRICES["SQS FIFO request"]),
        Cost("DynamoDB: 1 read unit a delivery", MILLION * PRICES["read unit"]),
        _function("seconds of a delivery, 512 MB", "a delivery"),
        _logs("a delivery"),
        Cost(
            "data to the internet",
            MILLION * ASSUMED["bytes of a response, with headers"] / GIGABYTE * PRICES["data to the internet, a GB"],
        ),
    ]


def _function(seconds: str, what: str) -> Cost:
    duration = ASSUMED[seconds] * 0.5 * PRICES["Lambda on arm64, a GB-second"]
    name = f"Lambda: 512 MB, {ASSUMED[seconds] * 1000:.0f} ms {what}"
    return Cost(name, MILLION * (PRICES["Lambda request"] + duration))


def _logs(what: str) -> Cost:
    bytes_ = ASSUMED["bytes of a function's log lines, a request"]
    price = PRICES["log, a GB"] + PRICES["log storage, a GB a month"]
    return Cost(f"logs: {bytes_:,} bytes {what}, kept for a month", MILLION * bytes_ / GIGABYTE * price)


def besides_units() -> float:
    """Dollars of a million debits without the units of DynamoDB."""
    return sum(cost.dollars for cost in per_million_debits() if not cost.item.startswith("DynamoDB"))


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
    """A month of keeping and checking a million debits, once they are made."""
    gigabytes = (sum(rows_of_a_debit()) + 2 * ITEM_OVERHEAD_BYTES) * MILLION / GIGABYTE
    passes = MONTH_DAYS / whole_days
    return [
        Cost(f"storage of {gigabytes:.1f} GB", gigabytes * PRICES["table storage, a GB a month"]),
        Cost("its point-in-time recovery", gigabytes * PRICES["point-in-time recovery, a GB a month"]),
        Cost(f"the verifier's whole passes, every {whole_days} days", MILLION * whole_pass_of_a_debit() * passes),
    ]


def options(template: Mapping[str, Any], whole_days: int) -> list[Cost]:
    """What the parameters and the callers change, a month."""
    counts = count_resources(template)
    daily, monthly = (MILLION * whole_pass_of_a_debit() * MONTH_DAYS / days for days in (1, 28))
    pool = counts["AWS::Cognito::UserPoolClient"]
    metrics = counts["routes"] * METRICS_OF_A_ROUTE * PRICES["metric, a month"]
    return [
        Cost("one process that always has a token, `TokenHours` 1", MONTH_HOURS * PRICES["machine token"]),
        Cost("the same, `TokenHours` 24", MONTH_HOURS / 24 * PRICES["machine token"]),
        Cost(f"{pool} machine clients, if AWS still charges 6.00 each", pool * 6.00),
        Cost(f"`DetailedMetrics` true, with all {counts['routes']} routes in use", metrics),
        Cost("`VerifyWholeDays` 1, for each million debits ever made", daily),
        Cost(f"`VerifyWholeDays` 28 instead of {whole_days}, likewise", monthly),
    ]


def count_resources(template: Mapping[str, Any]) -> dict[str, int]:
    """Resources by type; of the functions' events, the routes and the schedules; the metrics that alarms read."""
    counts = {
        "AWS::CloudWatch::CompositeAlarm": 0,
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
    """All tables, as they are in the document."""
    whole_days = int(template["Parameters"]["VerifyWholeDays"]["Default"])
    return "\n".join(
        [
            *_table("idle, a month", idle(template)),
            "",
            *_table("a million debits, once", per_million_debits()),
            "",
            *_table("a million events, once, if each comes alone", per_million_events()),
            "",
            *_table("a million deliveries to a webhook, once", per_million_deliveries()),
            "",
            *_table("each million debits ever made, a month", per_million_ever_made(whole_days)),
            "",
            *_table("depends on you, a month", options(template, whole_days), total=False),
            "",
            "**A million debits all in, by what the account has.**",
            "",
            *growth.table(besides_units(), PRICES["write unit"], PRICES["read unit"]),
        ]
    )


def renewed(document: str, text: str) -> str:
    """The document with these tables between its two marks."""
    return re.sub(r"(?<=<!-- make costs -->\n).*(?=\n<!-- end -->)", lambda _: f"\n{text}\n", document, flags=re.DOTALL)


def read_template() -> dict[str, Any]:
    """template.yaml; short tags of CloudFormation are read as their values."""

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


def _each(number: int, name: str, price: str) -> Cost:
    return Cost(f"{number} {name}, {PRICES[price]:.2f} each", number * PRICES[price])


def _table(title: str, costs: Sequence[Cost], *, total: bool = True) -> Iterator[str]:
    yield f"| {title} | dollars |"
    yield "|---|---:|"
    for cost in costs:
        if cost.dollars:
            yield f"| {cost.item} | {cost.dollars:.2f} |"
    if total:
        yield f"| **together** | **{sum(cost.dollars for cost in costs):.2f}** |"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program. Returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.costs", description=__doc__)
    parser.add_argument("--write", action="store_true", help="renew the tables in docs/costs.md")
    parser.add_argument("--check", action="store_true", help="fail if the tables in docs/costs.md are stale")
    asked = parser.parse_args(arguments)
    text, document = tables(read_template()), DOCUMENT.read_text("utf-8")
    if asked.write:
        DOCUMENT.write_text(renewed(document, text), "utf-8")
    elif asked.check and renewed(document, text) != document:
        print("docs/costs.md is stale: run 'uv run python -m bench.costs --write'", file=sys.stderr)
        return 1
    elif not asked.check:
        print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
