"""template.yaml as it is written. What SAM's transform makes of it: processed_template.py."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path, PurePath
from typing import Any

import yaml

TEMPLATE = Path(__file__).parents[2] / "template.yaml"

type Template = dict[str, Any]


class _Loader(yaml.CSafeLoader):
    """YAML with CloudFormation's short tags, each read as (tag, value)."""


def _tagged(loader: yaml.CSafeLoader, tag: str, node: yaml.Node) -> tuple[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        return (tag, loader.construct_scalar(node))
    assert isinstance(node, yaml.SequenceNode), f"!{tag} of a mapping"
    return (tag, loader.construct_sequence(node, deep=True))


_Loader.add_multi_constructor("!", _tagged)


@cache
def read_template() -> Template:
    """The whole template. Callers must not change it."""
    template: Template = yaml.load(TEMPLATE.read_text("utf-8"), _Loader)  # noqa: S506 - a safe loader
    return template


def of_type(template: Template, kind: str) -> dict[str, Any]:
    """The properties of all resources of one type, by logical id."""
    return {
        name: resource["Properties"] for name, resource in template["Resources"].items() if resource["Type"] == kind
    }


def logical(function: str) -> str:
    """A function's name as the template's resources begin."""
    return "".join(part.capitalize() for part in function.split("_"))


def statements_of(template: Template, role: str) -> Iterator[dict[str, Any]]:
    """Every statement of a role's policies. role: a logical id."""
    for policy in template["Resources"][role]["Properties"]["Policies"]:
        yield from policy["PolicyDocument"]["Statement"]


def actions_of(statement: dict[str, Any]) -> list[str]:
    """The actions that a statement allows."""
    actions: str | list[str] = statement["Action"]
    return [actions] if isinstance(actions, str) else actions


def resources_of(statement: dict[str, Any]) -> list[Any]:
    """The resources that a statement is about, each as a tag and its value."""
    resources = statement["Resource"]
    return resources if isinstance(resources, list) else [resources]


def is_page(route: str) -> bool:
    """Whether the route returns a page for people, which openapi.json doesn't describe."""
    return route.partition(" ")[2].startswith("/portal")


def table_schema() -> dict[str, Any]:
    """The arguments of CreateTable."""
    [table] = of_type(read_template(), "AWS::DynamoDB::Table").values()
    return {
        name: table[name] for name in ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode")
    }


def timeout_of(function: str) -> float:
    """The seconds after which Lambda kills a function."""
    template = read_template()
    own = template["Resources"][f"{logical(function)}Function"]["Properties"].get("Timeout")
    seconds: int = own or template["Globals"]["Function"]["Timeout"]
    return seconds


def functions_by_route() -> dict[str, str]:
    """The name of the function that serves a route, by the route's key."""
    return {
        f"{event['Properties']['Method']} {event['Properties']['Path']}": PurePath(function["CodeUri"]).name
        for function in of_type(read_template(), "AWS::Serverless::Function").values()
        for event in function["Events"].values()
        if event["Type"] == "HttpApi"
    }
