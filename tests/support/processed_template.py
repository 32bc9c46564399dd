"""template.yaml as CloudFormation gets it, after SAM's transform."""

from collections.abc import Mapping
from typing import Any

import yaml
from boto3 import Session
from samtranslator.parser.parser import Parser  # type: ignore[import-untyped]
from samtranslator.translator.translator import Translator  # type: ignore[import-untyped]

from tests.support.template import Template

UPLOADED = "s3://bucket/key"


class _Loader(yaml.CSafeLoader):
    """YAML with CloudFormation's short tags, each read as the long form."""


def _long_form(loader: yaml.CSafeLoader, tag: str, node: yaml.Node) -> dict[str, Any]:
    name = tag if tag in {"Ref", "Condition"} else f"Fn::{tag}"
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
        return {name: value.split(".", 1) if tag == "GetAtt" else value}
    assert isinstance(node, yaml.SequenceNode), f"!{tag} of a mapping"
    return {name: loader.construct_sequence(node, deep=True)}


_Loader.add_multi_constructor("!", _long_form)


def long_form(source: str) -> Template:
    """The template as it is written."""
    template: Template = yaml.load(source, _Loader)  # noqa: S506 - a safe loader
    return template


def processed(
    source: str, uploaded: Mapping[str, str] | None = None, parameters: Mapping[str, str] | None = None
) -> Template:
    """The template that SAM's transform makes of this source. The address of uploaded code is a placeholder.

    uploaded: other addresses, by logical id. parameters: where they aren't the defaults.
    """
    template = long_form(source)
    for name, resource in template["Resources"].items():
        for uri in {"CodeUri", "ContentUri"} & resource["Properties"].keys():
            resource["Properties"][uri] = (uploaded or {}).get(name, UPLOADED)
    # The region decides the partition in ARNs, which nothing here depends on.
    translator = Translator({}, Parser(), boto_session=Session(region_name="us-east-1"))
    # CloudFormation gives the transform the values of all parameters.
    values = {name: str(parameter["Default"]) for name, parameter in template["Parameters"].items()}
    processed: Template = translator.translate(template, parameter_values={**values, **(parameters or {})})
    return processed
