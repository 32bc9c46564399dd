"""The dashboard shows every figure that the code publishes, each of which some test sees published."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from prepaid.api import openapi
from prepaid.telemetry import Metric
from tests.support.expected_template import FUNCTIONS
from tests.support.template import of_type, read_template

ROOT = Path(__file__).parents[2]
# An application of the template's own functions, and what AWS counts for them.
OF_AWS = {
    ("AWS/ApiGateway", "Count"),
    ("AWS/ApiGateway", "4xx"),
    ("AWS/ApiGateway", "5xx"),
    ("AWS/ApiGateway", "Latency"),
    ("AWS/Lambda", "Errors"),
    ("AWS/Lambda", "IteratorAge"),
    ("AWS/SQS", "ApproximateNumberOfMessagesVisible"),
}


@pytest.fixture(scope="module")
def figures() -> list[list[Any]]:
    """The lines of every graph."""
    [dashboard] = of_type(read_template(), "AWS::CloudWatch::Dashboard").values()
    tag, body = dashboard["DashboardBody"]
    assert tag == "Sub"
    return [line for widget in json.loads(body)["widgets"] for line in widget["properties"]["metrics"]]


def test_every_figure_of_the_service_is_on_the_dashboard(figures: list[list[Any]]) -> None:
    shown = {line[1] for line in figures if line[0] == "Prepaid"}

    assert shown == {str(metric) for metric in Metric}
    assert all(line[2:4] == ["service", "${AWS::StackName}"] for line in figures if line[0] == "Prepaid")


def test_other_figures_are_those_that_aws_counts(figures: list[list[Any]]) -> None:
    assert {(line[0], line[1]) for line in figures if line[0] != "Prepaid"} == OF_AWS


@pytest.mark.parametrize("metric", Metric)
def test_each_figure_is_published_in_some_test(metric: Metric) -> None:
    tests = "".join(file.read_text("utf-8") for file in (ROOT / "tests").rglob("test_*.py"))

    seen = f'metric("{metric}")' in tests
    assert seen, "no test sees it"


def test_graphs_name_resources_and_routes_that_exist(figures: list[list[Any]]) -> None:
    resources = read_template()["Resources"]
    named = {name for line in figures for name in re.findall(r"\$\{(\w+)[.}]", json.dumps(line)) if name != "AWS"}
    routes = {f"{line[7]} {line[9]}" for line in figures if len(line) > 9}

    assert named <= resources.keys()
    assert routes <= {route.key for route in openapi.ROUTES}
    conditional = {name for name in named if "Condition" in resources[name]}
    assert conditional == set()


def test_functions_that_every_stack_has_are_on_the_dashboard(figures: list[list[Any]]) -> None:
    shown = {line[3] for line in figures if line[1] == "Errors"}

    assert shown == {f"${{{name}Function}}" for name in FUNCTIONS if name != "Deliver"}
