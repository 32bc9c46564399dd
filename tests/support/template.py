"""template.yaml, read once: what it says is written down there and nowhere else."""

from functools import cache
from pathlib import Path, PurePath
from typing import Any

import yaml

TEMPLATE = Path(__file__).parents[2] / "template.yaml"


class _Loader(yaml.CSafeLoader):
    """YAML in which CloudFormation's own tags (!If, !Sub, …) are of no interest."""


_Loader.add_multi_constructor("!", lambda *_: None)


@cache
def resources() -> dict[str, Any]:
    """The resources by their logical ids, for reading only."""
    found: dict[str, Any] = yaml.load(TEMPLATE.read_text("utf-8"), _Loader)["Resources"]  # noqa: S506 - a safe loader
    return found


def table_schema() -> dict[str, Any]:
    """The arguments of CreateTable."""
    [table] = [resource for resource in resources().values() if resource["Type"] == "AWS::DynamoDB::Table"]
    return {name: table["Properties"][name] for name in ("AttributeDefinitions", "KeySchema", "BillingMode")}


def functions_by_route() -> dict[str, str]:
    """The name of the function that serves a route, by the route's key."""
    functions = [found["Properties"] for found in resources().values() if found["Type"] == "AWS::Serverless::Function"]
    return {
        f"{event['Properties']['Method']} {event['Properties']['Path']}": PurePath(function["CodeUri"]).name
        for function in functions
        for event in function["Events"].values()
        if event["Type"] == "HttpApi"
    }
