"""The table as template.yaml defines it: its schema is written down there and nowhere else."""

from functools import cache
from pathlib import Path
from typing import Any

import yaml

TEMPLATE = Path(__file__).parents[2] / "template.yaml"


class _Loader(yaml.SafeLoader):
    """YAML in which CloudFormation's own tags (!If, !Sub, …) are of no interest."""


_Loader.add_multi_constructor("!", lambda *_: None)


@cache
def table_schema() -> dict[str, Any]:
    """The arguments of CreateTable."""
    resources = yaml.load(TEMPLATE.read_text("utf-8"), _Loader)["Resources"].values()  # noqa: S506 - a SafeLoader
    [properties] = [one["Properties"] for one in resources if one["Type"] == "AWS::DynamoDB::Table"]
    return {name: properties[name] for name in ("AttributeDefinitions", "KeySchema", "BillingMode")}
