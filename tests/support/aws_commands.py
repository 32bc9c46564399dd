"""Command lines of the AWS CLI in documents, read as botocore describes each operation."""

import json
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
import jmespath  # type: ignore[import-untyped]
from botocore import xform_name
from botocore.model import OperationModel, ServiceModel, Shape

GLOBAL_OPTIONS = {"output", "query", "region", "profile", "cli-read-timeout", "cli-binary-format"}


@cache
def aws() -> botocore.session.Session:
    """One for all, because it keeps what it has read of AWS's services."""
    return botocore.session.get_session()


@cache
def service_model(name: str) -> ServiceModel:
    """What AWS describes of a service."""
    return aws().get_service_model(name)


def operations(service: str) -> dict[str, OperationModel]:
    """A service's operations by the CLI's names of them."""
    model = service_model(service)
    return {xform_name(name, "-"): model.operation_model(name) for name in model.operation_names}


def blocks(document: Path, heading: str = "") -> list[str]:
    """The shell blocks of a document, or of the part below a heading, up to the next heading."""
    text = document.read_text("utf-8")
    if heading:
        [part] = re.findall(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#+ |\Z)", text, re.DOTALL | re.MULTILINE)
        text = part
    return re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def options(words: Sequence[str]) -> tuple[dict[str, list[str]], list[str]]:
    """The values of each option, and the words before the first one."""
    given: dict[str, list[str]] = {}
    alone: list[str] = []
    current = alone
    for word in words:
        if word.startswith("--"):
            current = given.setdefault(word.removeprefix("--"), [])
        else:
            current.append(word)
    return given, alone


def value(shape: Shape, words: list[str]) -> Any:
    """An option's value, as the CLI reads it: JSON, shorthand, or words."""
    kind = shape.type_name
    if kind in {"structure", "map", "list"} and words[0].startswith(("{", "[")):
        return json.loads(words[0])
    if kind == "list":
        return [value(shape.member, [word]) for word in words]  # type: ignore[attr-defined]
    if kind == "structure":
        pairs = (pair.partition("=") for pair in words[0].split(","))
        return {name: value(shape.members[name], [text]) for name, _, text in pairs}  # type: ignore[attr-defined]
    if kind == "boolean":
        return {"true": True, "false": False}[words[0]] if words else True
    if kind in {"integer", "long"}:
        return int(words[0])
    return words[0]


def parameters(operation: OperationModel, words: Sequence[str]) -> dict[str, Any]:
    """The operation's parameters. Raises AssertionError for an option that neither it nor the CLI has."""
    members = operation.input_shape.members if operation.input_shape else {}
    known = {xform_name(name, "-"): (name, shape) for name, shape in members.items()}
    known |= {f"no-{option}": named for option, named in known.items() if named[1].type_name == "boolean"}
    given, alone = options(words)
    # The file for a response that is a stream: the last word, after any option.
    if operation.get_streaming_output() is not None:
        last = list(given)[-1] if given else None
        outfile = (given[last] if last else alone).pop()
        assert "/" in outfile or "." in outfile, f"no file for the response: {words}"
    assert alone == [], words
    read: dict[str, Any] = {}
    for option, texts in given.items():
        if option == "query":
            jmespath.compile(texts[0])
        if option not in known:
            assert option in GLOBAL_OPTIONS, f"{operation.name} has no --{option}"
            continue
        name, shape = known[option]
        read[name] = False if option.startswith("no-") and not texts else value(shape, texts)
    return read
