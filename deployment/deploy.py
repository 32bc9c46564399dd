"""`make deploy ENV=staging|prod`: deploys what `make build` built, and protects the stack afterwards."""

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from deployment.build import BUILT, LAYER, architecture_of
from deployment.marks import mark
from deployment.settings import (
    CONFIG,
    ROOT,
    Account,
    Environment,
    SettingsError,
    account_of,
    every_parameter,
    read_environment,
    read_template,
)
from local import sam
from local.processes import LocalStackError, own_environment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mypy_boto3_cloudformation import CloudFormationClient

POLICY = Path(__file__).with_name("stack-policy.json")


def deploy_arguments(
    environment: Environment, account: Account, built: Path, parameters: "Mapping[str, str]", more: "Sequence[str]"
) -> list[str]:
    """The arguments of `sam deploy`. Raises SettingsError if `more` would replace the parameters."""
    if any(argument.startswith("--parameter-overrides") for argument in more):
        raise SettingsError("set parameters in samconfig.toml: --parameter-overrides would replace all of them")
    return [
        "deploy",
        # SAM looks for it beside the built template.
        "--config-file",
        str(environment.config),
        "--config-env",
        environment.name,
        "--region",
        account.region,
        "--template-file",
        str(built / "template.yaml"),
        *more,
        "--parameter-overrides",
        *(f'{name}="{value}"' for name, value in sorted(parameters.items())),
    ]


def protect(formation: "CloudFormationClient", stack: str) -> None:
    """Keep the stack from being deleted, and what must outlive a release from being replaced."""
    formation.set_stack_policy(StackName=stack, StackPolicyBody=POLICY.read_text("utf-8"))
    formation.update_termination_protection(StackName=stack, EnableTerminationProtection=True)


def main(arguments: "Sequence[str] | None" = None, config: Path = CONFIG, built: Path = BUILT) -> int:
    """Deploy, then protect. Returns the exit code. config: the file with the environments. built: by `sam build`."""
    parser = argparse.ArgumentParser(prog="make deploy", description=__doc__)
    parser.add_argument("--environment", required=True, help="a section of samconfig.toml (ENV=)")
    chosen, more = parser.parse_known_args(arguments)
    environment = read_environment(chosen.environment, config)
    account = account_of(environment)
    parameters = every_parameter(environment, read_template(), architecture_of(built / LAYER))
    if not parameters["AlarmEmail"]:
        print(f"\n*** NOBODY HEARS THE ALARMS of {environment.stack_name}: AlarmEmail is empty. ***\n", flush=True)
    print(f"{environment.stack_name} in account {account.id}, {account.region}", flush=True)
    command = sam.command(*deploy_arguments(environment, account, built, parameters, more))
    mark(built, parameters)
    mine = {name: value for name, value in os.environ.items() if name.startswith(("AWS_", "SAM_"))}
    env = {**sam.environment(own_environment()), **mine}
    if code := subprocess.run(command, env=env, cwd=ROOT, check=False).returncode:
        return code
    protect(account.session.client("cloudformation"), environment.stack_name)
    print(f"The stack can't be deleted now. `make check-deployed ENV={environment.name}` says what is missing.")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (SettingsError, LocalStackError) as error:
        sys.exit(f"make deploy: {error}")
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"make deploy: the stack could not be protected from deletion: {error}")
