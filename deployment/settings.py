"""The environments of samconfig.toml, and the parameters of template.yaml."""

import os
import shlex
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import yaml
from botocore.exceptions import BotoCoreError, ClientError

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = ROOT / "template.yaml"
CONFIG = ROOT / "samconfig.toml"
# The parameter that is set from the built files, not from samconfig.toml.
DECIDED_BY_BUILD = "Architecture"


class SettingsError(Exception):
    """A setting that can't be deployed, in one line for the deployer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """One environment of samconfig.toml. config: that file. region: None for the shell's."""

    name: str
    stack_name: str
    region: str | None
    parameters: Mapping[str, str]
    config: Path = CONFIG


class _Loader(yaml.CSafeLoader):
    """Loads YAML with CloudFormation's short tags, without evaluating them."""


_Loader.add_multi_constructor("!", lambda _loader, tag, node: (tag, getattr(node, "value", None)))


def read_template(path: Path = TEMPLATE) -> dict[str, Any]:
    """The template, with its intrinsic functions left unevaluated."""
    template: dict[str, Any] = yaml.load(path.read_text("utf-8"), _Loader)  # noqa: S506 - a safe loader
    return template


def read_environment(name: str, path: Path = CONFIG) -> Environment:
    """An environment of samconfig.toml. Raises SettingsError for one that isn't there."""
    config = tomllib.loads(path.read_text("utf-8"))
    names = sorted(section for section in config if isinstance(config[section], dict) and "deploy" in config[section])
    if name not in names:
        raise SettingsError(f"samconfig.toml has no environment {name!r}; it has {', '.join(names)}")
    settings = config[name]["deploy"]["parameters"]
    return Environment(
        config=path,
        name=name,
        stack_name=settings["stack_name"],
        region=settings.get("region"),
        parameters=dict(_pair(text) for text in settings["parameter_overrides"]),
    )


def _pair(text: str) -> tuple[str, str]:
    # As SAM reads it, quotes group the words of a value.
    [joined] = shlex.split(text)
    name, _, value = joined.partition("=")
    return name, value


def every_parameter(environment: Environment, template: Mapping[str, Any], architecture: str) -> dict[str, str]:
    """All parameters of the deployment: the template's defaults, changed by the environment.

    CloudFormation keeps a stack's old value for a parameter that a deployment leaves out, so a changed default would
    have no effect. Raises SettingsError for a parameter that the template doesn't have, or that the build sets.
    """
    defaults = {name: str(parameter["Default"]) for name, parameter in template["Parameters"].items()}
    if unknown := sorted(environment.parameters.keys() - defaults.keys()):
        raise SettingsError(f"template.yaml has no parameter {', '.join(unknown)}")
    if DECIDED_BY_BUILD in environment.parameters:
        raise SettingsError("leave Architecture out of samconfig.toml: make build ARCHITECTURE=… decides it")
    return {**defaults, **environment.parameters, DECIDED_BY_BUILD: architecture}


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The AWS account and region of a deployment. session: a boto3.Session there."""

    session: Any
    id: str
    region: str


def account_of(environment: Environment) -> Account:
    """The account of the shell's credentials, in the environment's region or the shell's.

    Raises SettingsError if there is no region, or AWS accepts no credentials.
    """
    # boto3 itself reads AWS_DEFAULT_REGION only, the AWS CLI both.
    session: Any = boto3.Session(region_name=environment.region or os.environ.get("AWS_REGION"))
    if session.region_name is None:
        section = f"[{environment.name}.deploy.parameters]"
        raise SettingsError(f'no region: add region = "…" to {section} in samconfig.toml, or export AWS_REGION')
    try:
        account = session.client("sts").get_caller_identity()["Account"]
    except (BotoCoreError, ClientError) as error:
        raise SettingsError(
            f"no AWS credentials that work: {error}. `aws sts get-caller-identity` must succeed"
        ) from error
    return Account(session=session, id=account, region=session.region_name)
