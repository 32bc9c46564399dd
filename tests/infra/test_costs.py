"""docs/costs.md: its tables are what the command computes now, and the command counts what there is."""

import pytest

from bench.costs import (
    DOCUMENT,
    MILLION,
    PRICE_LISTS,
    PRICES,
    ROOT,
    WEBHOOK,
    count_resources,
    free_of_idle,
    idle,
    main,
    per_million_debits,
    per_million_ever_made,
    read_template,
    recent_pass_of_a_debit,
    renewed,
    rows_of_a_debit,
    whole_pass_of_a_debit,
    without_webhook,
    write_units,
)
from tests.support.template import functions_by_route


def test_the_tables_are_up_to_date() -> None:
    assert main(["--check"]) == 0


def test_a_change_of_a_table_is_noticed() -> None:
    document = DOCUMENT.read_text("utf-8")

    changed = renewed(document, "| another table |")

    assert changed != document
    assert "| another table |" in changed
    assert "**Tokens.**" in changed
    assert renewed(changed, "| another table |") == changed


def test_resources_are_counted_as_the_template_has_them() -> None:
    counts = count_resources(read_template())

    assert counts["routes"] == len(functions_by_route())
    assert counts["AWS::Scheduler"] == 4
    assert counts["AWS::Cognito::UserPoolClient"] == 3


def test_an_idle_stack_is_counted_without_the_webhook() -> None:
    template = read_template()
    conditional = {name for name, resource in template["Resources"].items() if resource.get("Condition") == WEBHOOK}

    without = without_webhook(template)["Resources"]

    assert {"WebhookSecret", "EndpointDeliveriesLate"} <= conditional
    assert without.keys() == template["Resources"].keys() - conditional
    assert count_resources(without_webhook(template))["AWS::CloudWatch::Dashboard"] == 1


def test_the_document_links_the_page_of_each_price() -> None:
    document = DOCUMENT.read_text("utf-8")

    assert [page for page in PRICE_LISTS if f"]({page})" not in document] == []
    assert len(PRICES) == sum(map(len, PRICE_LISTS.values()))


def test_an_idle_month_is_stated_with_and_without_the_free_tier() -> None:
    template = read_template()
    listed = sum(cost.dollars for cost in idle(template))
    free = free_of_idle(template)

    # Ten alarms, nine metrics, one dashboard.
    assert free == pytest.approx(10 * 0.10 + 9 * 0.30 + 3.00)
    assert (round(listed), round(listed - free)) == (11, 5)
    documents = {name: (ROOT / "docs" / name).read_text("utf-8") for name in ("costs.md", "going-live.md")}
    assert f"| **{listed:.2f}** |" in documents["costs.md"]
    assert f"| **{listed - free:.2f}** |" in documents["costs.md"]
    assert "about 11 dollars a month" in documents["costs.md"]
    assert "A stack costs about 11 dollars a month without requests, or 5 with" in documents["going-live.md"]


def test_a_debit_has_the_write_units_that_the_database_reports() -> None:
    """tests/store/test_cost.py holds that number against the database."""
    assert write_units(*rows_of_a_debit()) == 4


def test_checking_what_is_new_costs_a_small_part_of_making_it() -> None:
    dollars = sum(cost.dollars for cost in per_million_debits())

    assert MILLION * recent_pass_of_a_debit() < dollars / 50


def test_the_whole_table_once_a_week_costs_a_seventh_of_once_a_day() -> None:
    daily, weekly = (per_million_ever_made(days)[-1].dollars for days in (1, 7))

    assert 2 < daily < 4
    assert weekly * 7 == pytest.approx(daily)
    assert MILLION * whole_pass_of_a_debit() * 30 < daily * 1.01
