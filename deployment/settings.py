"""The environments of samconfig.toml, and the parameters of template.yaml."""

import shlex
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = ROOT / "template.yaml"
CONFIG = ROOT / "samconfig.toml"
# The build decides it, from what it built.
DECIDED_BY_BUILD = "Architecture"


class SettingsError(Exception):
    """A setting that can't be deployed, in one line for the deployer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """One environment of samconfig.toml. region: None for the shell's."""

    name: str
    stack_name: str
    region: str | None
    parameters: Mapping[str, str]


class _Loader(yaml.CSafeLoader):
    """YAML with CloudFormation's short tags, whose values nothing here reads."""


_Loader.add_multi_constructor("!", lambda _loader, tag, node: (tag, getattr(node, "value", None)))


def read_template(path: Path = TEMPLATE) -> dict[str, Any]:
    """The template, without the meaning of its functions."""
    template: dict[str, Any] = yaml.load(path.read_text("utf-8"), _Loader)  # noqa: S506 - a safe loader
    return template


def read_environment(name: str, path: Path = CONFIG) -> Environment:
    """An environment of samconfig.toml. Raises SettingsError for one that isn't there."""
    config = tomllib.loads(path.read_text("utf-8"))
    known = sorted(section for section in config if isinstance(config[section], dict) and "deploy" in config[section])
    if name not in known:
        raise SettingsError(f"samconfig.toml has no environment {name!r}; it has {', '.join(known)}")
    settings = config[name]["deploy"]["parameters"]
    return Environment(
        name=name,
        stack_name=settings["stack_name"],
        region=settings.get("region"),
        parameters=dict(_pair(text) for text in settings["parameter_overrides"]),
    )


def _pair(text: str) -> tuple[str, str]:
    # As SAM reads it: quotes group the value's words.
    [joined] = shlex.split(text)
    name, _, value = joined.partition("=")
    return name, value


def every_parameter(environment: Environment, template: Mapping[str, Any], architecture: str) -> dict[str, str]:
    """All parameters of the deployment: the template's defaults, changed by the environment.

    CloudFormation keeps a stack's old value for a parameter that a deployment leaves out, so a changed default would
    never arrive. Raises SettingsError for a parameter that the template doesn't have, or that the build decides.
    """
    defaults = {name: str(parameter["Default"]) for name, parameter in template["Parameters"].items()}
    if unknown := sorted(environment.parameters.keys() - defaults.keys()):
        raise SettingsError(f"template.yaml has no parameter {', '.join(unknown)}")
    if DECIDED_BY_BUILD in environment.parameters:
        raise SettingsError("leave Architecture out of samconfig.toml: make build ARCHITECTURE=… decides it")
    return {**defaults, **environment.parameters, DECIDED_BY_BUILD: architecture}
