"""The dashboard: every alarm, and every figure that the code publishes, each of which some test sees published."""

import json
import re
from collections.abc import Collection
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from prepaid.api import openapi
from prepaid.telemetry import Metric
from tests.support.expected_template import FUNCTIONS
from tests.support.template import of_type, read_template

ROOT = Path(__file__).parents[2]
# What AWS itself counts for the API, the functions and the queues.
OF_AWS = {
    ("AWS/ApiGateway", "Count"),
    ("AWS/ApiGateway", "4xx"),
    ("AWS/ApiGateway", "5xx"),
    ("AWS/ApiGateway", "Latency"),
    ("AWS/Lambda", "Invocations"),
    ("AWS/Lambda", "Errors"),
    ("AWS/Lambda", "IteratorAge"),
    ("AWS/SQS", "ApproximateNumberOfMessagesVisible"),
}


# By feature, of this stack alone, in the sums of an hour.
SEARCH = re.escape("SEARCH('{Prepaid,feature,service} MetricName=\"NAME\" service=\"${AWS::StackName}\"', 'Sum', 3600)")
SEARCH = SEARCH.replace("NAME", "([A-Za-z]+)")
COLUMNS = 24
# What a value of an hour or five minutes is: a count is summed up, what is measured now and then is not.
GAUGES = {
    "ReconciliationBehind",
    "ReconciliationOldestFailure",
    "VerificationBehind",
    "IteratorAge",
    "ApproximateNumberOfMessagesVisible",
}

type Widget = dict[str, Any]


# The conditions of the alarms that not every stack has.
CONDITIONS = ("IsAws", "HasWebhook")


def dashboard_of(conditions: Collection[str]) -> dict[str, Any]:
    """The dashboard of a stack for which these conditions hold."""
    [found] = of_type(read_template(), "AWS::CloudWatch::Dashboard").values()
    tag, (body, parts) = found["DashboardBody"]
    assert tag == "Sub"
    for name, (condition, (which, (_, given), otherwise)) in parts.items():
        assert condition == "If"
        body = body.replace(f"${{{name}}}", given if which in conditions else otherwise)
    read: dict[str, Any] = json.loads(body)
    return read


@pytest.fixture(scope="module")
def dashboard() -> dict[str, Any]:
    return dashboard_of(CONDITIONS)


@pytest.fixture(scope="module")
def graphs(dashboard: dict[str, Any]) -> list[Widget]:
    return [widget["properties"] for widget in dashboard["widgets"] if widget["type"] == "metric"]


@pytest.fixture(scope="module")
def figures(graphs: list[Widget]) -> list[list[Any]]:
    """The lines of every graph, without those that are computed of others."""
    return [line for graph in graphs for line in graph["metrics"] if isinstance(line[0], str)]


@pytest.fixture(scope="module")
def searched(graphs: list[Widget]) -> list[str]:
    """The figures that have a dimension besides `service`, whose values only CloudWatch knows."""
    expressions = [line[0]["expression"] for graph in graphs for line in graph["metrics"] if isinstance(line[0], dict)]
    found = [re.fullmatch(SEARCH, expression) for expression in expressions]
    return [match[1] for match in found if match]


def test_widgets_fit_the_grid_and_do_not_overlap(dashboard: dict[str, Any]) -> None:
    places = [(box["x"], box["y"], box["x"] + box["width"], box["y"] + box["height"]) for box in dashboard["widgets"]]

    assert all(0 <= left < right <= COLUMNS and 0 <= top < bottom for left, top, right, bottom in places)
    for first, other in combinations(places, 2):
        beside = first[2] <= other[0] or other[2] <= first[0]
        assert beside or first[3] <= other[1] or other[3] <= first[1], f"{first} overlaps {other}"
    # No gap: each row is full.
    assert sum((right - left) * (bottom - top) for left, top, right, bottom in places) == COLUMNS * max(
        bottom for *_, bottom in places
    )


def test_widgets_are_read_from_the_top(dashboard: dict[str, Any]) -> None:
    places = [(widget["y"], widget["x"]) for widget in dashboard["widgets"]]

    assert places == sorted(places)
    assert dashboard["widgets"][0]["type"] == "alarm"


def test_every_graph_has_a_title_an_axis_and_labels(dashboard: dict[str, Any], graphs: list[Widget]) -> None:
    titles = [widget["properties"]["title"] for widget in dashboard["widgets"]]
    assert all(titles)
    assert len(set(titles)) == len(titles)
    for graph in graphs:
        assert graph["region"] == "${AWS::Region}"
        assert all(axis["label"] and axis["min"] == 0 for axis in graph["yAxis"].values())
        labels = [line[-1]["label"] for line in graph["metrics"]]
        assert all(labels)
        assert len(set(labels)) == len(labels)
        sides = {line[-1].get("yAxis", "left") for line in graph["metrics"]}
        assert sides == set(graph["yAxis"])


def test_counts_are_summed_up_and_gauges_are_not(graphs: list[Widget]) -> None:
    for graph in graphs:
        for line in graph["metrics"]:
            if not isinstance(line[0], str) or line[1] == "Latency":
                continue
            stat = line[-1].get("stat", graph["stat"])
            assert stat == ("Maximum" if line[1] in GAUGES else "Sum"), line
    assert {line[-1]["stat"] for graph in graphs for line in graph["metrics"] if "Latency" in line} == {"p50", "p99"}


def test_a_title_tells_the_period_that_its_counts_are_of(dashboard: dict[str, Any], graphs: list[Widget]) -> None:
    # Otherwise CloudWatch sums up over longer periods when more days are shown.
    assert dashboard["periodOverride"] == "inherit"
    for graph in graphs:
        if graph["stat"] == "Sum":
            assert {3600: "each hour", 300: "each 5 minutes"}[graph["period"]] in graph["title"]


def test_no_graph_mixes_units(graphs: list[Widget]) -> None:
    [behind] = [graph for graph in graphs if graph["title"] == "Work behind"]
    [computed] = [line[0] for line in behind["metrics"] if isinstance(line[0], dict)]
    hidden = {line[-1]["id"] for line in behind["metrics"] if line[-1].get("visible") is False}

    assert computed["expression"] == "age / 1000"
    assert hidden == {"age"}
    shown = [line for graph in graphs for line in graph["metrics"] if line[-1].get("visible") is not False]
    assert not any("IteratorAge" in line for line in shown)


@pytest.mark.parametrize("count", range(len(CONDITIONS) + 1))
def test_every_alarm_that_a_stack_has_is_shown(count: int) -> None:
    resources = read_template()["Resources"]
    alarms = {name: resource for name, resource in resources.items() if resource["Type"] == "AWS::CloudWatch::Alarm"}

    for conditions in combinations(CONDITIONS, count):
        [widget] = [widget for widget in dashboard_of(conditions)["widgets"] if widget["type"] == "alarm"]

        shown = widget["properties"]["alarms"]
        has = [name for name, alarm in alarms.items() if alarm.get("Condition", "") in ("", *conditions)]
        assert sorted(shown) == sorted(f"${{{name}.Arn}}" for name in has)


def test_every_figure_of_the_service_is_on_the_dashboard(figures: list[list[Any]], searched: list[str]) -> None:
    shown = {line[1] for line in figures if line[0] == "Prepaid"} | set(searched)

    assert shown == {str(metric) for metric in Metric}
    assert all(line[2:4] == ["service", "${AWS::StackName}"] for line in figures if line[0] == "Prepaid")


def test_other_figures_are_those_that_aws_counts(figures: list[list[Any]]) -> None:
    assert {(line[0], line[1]) for line in figures if line[0] != "Prepaid"} == OF_AWS


@pytest.mark.parametrize("metric", Metric)
def test_each_figure_is_published_in_some_test(metric: Metric) -> None:
    """A test that looks for its absence alone would pass without it."""
    tests = "".join(file.read_text("utf-8") for file in (ROOT / "tests").rglob("test_*.py"))

    seen = [line for line in tests.splitlines() if f'metric("{metric}")' in line and "== []" not in line]

    assert seen, "no test sees it"


def test_graphs_name_resources_and_routes_that_exist(dashboard: dict[str, Any], figures: list[list[Any]]) -> None:
    resources = read_template()["Resources"]
    named = {name for name in re.findall(r"\$\{(\w+)[.}]", json.dumps(dashboard)) if name != "AWS"}
    routes = {f"{line[7]} {line[9]}" for line in figures if len(line) > 9}

    assert named <= resources.keys()
    assert routes
    assert routes <= {route.key for route in openapi.ROUTES}
    conditional = {resources[name].get("Type") for name in named if "Condition" in resources[name]}
    assert conditional == {"AWS::CloudWatch::Alarm"}


def test_functions_that_every_stack_has_are_on_the_dashboard(figures: list[list[Any]]) -> None:
    shown = {line[3] for line in figures if line[1] == "Errors"}

    assert shown == {f"${{{name}Function}}" for name in FUNCTIONS if name != "Deliver"}
