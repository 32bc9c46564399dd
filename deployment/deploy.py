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
# CloudFormation's error code for a stack that doesn't exist.
NO_STACK = "ValidationError"


def deploy_arguments(
    environment: Environment,
    account: Account,
    built: Path,
    parameters: "Mapping[str, str]",
    extra_arguments: "Sequence[str]",
) -> list[str]:
    """The arguments of `sam deploy`. Raises SettingsError if `extra_arguments` would replace the parameters."""
    if any(argument.startswith("--parameter-overrides") for argument in extra_arguments):
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
        *extra_arguments,
        "--parameter-overrides",
        *(f'{name}="{value}"' for name, value in sorted(parameters.items())),
    ]


def check_table(
    formation: "CloudFormationClient", stack: str, parameters: "Mapping[str, str]", *, change: bool
) -> None:
    """Reject an ExistingTable other than the deployed stack's table, unless `change`. Raises SettingsError.

    CloudFormation would accept it, and the functions would continue with another ledger, or with an empty one.
    """
    configured_table, stream = parameters["ExistingTable"], parameters["ExistingTableStream"]
    if change and parameters["Canary"] == "true":
        raise SettingsError(
            "set Canary=false for this deployment: for its five minutes, old versions would write to the old table and "
            "new ones to the other, and the alarms of the stopped functions would take it back"
        )
    if stream and not stream.startswith(f"{configured_table}/stream/"):
        raise SettingsError(f"ExistingTableStream isn't a stream of ExistingTable: {stream}")
    try:
        [facts] = formation.describe_stacks(StackName=stack)["Stacks"]
    except ClientError as error:
        if error.response["Error"]["Code"] != NO_STACK:
            raise
        return
    deployed_parameters = {
        parameter["ParameterKey"]: parameter.get("ParameterValue", "") for parameter in facts.get("Parameters", [])
    }
    deployed_table = deployed_parameters.get("ExistingTable", "")
    # Before its first change set is executed, a stack has no table.
    if deployed_table == configured_table or change or facts["StackStatus"] == "REVIEW_IN_PROGRESS":
        return
    raise SettingsError(
        f"{stack} works on {deployed_table or 'its own table'}, and samconfig.toml names "
        f"{configured_table or 'no other one'}: the stack would go on with the accounts of another table. "
        f"Set ExistingTable to {deployed_table or 'nothing'}. To change it on "
        "purpose, follow docs/disaster.md and add DEPLOY_ARGS=--change-table"
    )


def protect(formation: "CloudFormationClient", stack: str) -> None:
    """Protect the stack against deletion, and the resources that must outlive a release against replacement."""
    formation.set_stack_policy(StackName=stack, StackPolicyBody=POLICY.read_text("utf-8"))
    formation.update_termination_protection(StackName=stack, EnableTerminationProtection=True)


def main(arguments: "Sequence[str] | None" = None, config: Path = CONFIG, built: Path = BUILT) -> int:
    """Deploy, then protect. Returns the exit code. config: the file with the environments. built: by `sam build`."""
    parser = argparse.ArgumentParser(prog="make deploy", description=__doc__)
    parser.add_argument("--environment", required=True, help="a section of samconfig.toml (ENV=)")
    parser.add_argument("--change-table", action="store_true", help="let a stack that exists change its ExistingTable")
    options, extra_arguments = parser.parse_known_args(arguments)
    environment = read_environment(options.environment, config)
    account = account_of(environment)
    parameters = every_parameter(environment, read_template(), architecture_of(built / LAYER))
    formation = account.session.client("cloudformation")
    check_table(formation, environment.stack_name, parameters, change=options.change_table)
    if not parameters["AlarmEmail"]:
        print(f"\n*** NOBODY RECEIVES THE ALARMS of {environment.stack_name}: AlarmEmail is empty. ***\n", flush=True)
    print(f"{environment.stack_name} in account {account.id}, {account.region}", flush=True)
    command = sam.command(*deploy_arguments(environment, account, built, parameters, extra_arguments))
    mark(built, parameters)
    aws_variables = {name: value for name, value in os.environ.items() if name.startswith(("AWS_", "SAM_"))}
    env = {**sam.environment(own_environment()), **aws_variables}
    if code := subprocess.run(command, env=env, cwd=ROOT, check=False).returncode:
        return code
    protect(formation, environment.stack_name)
    print(f"The stack can't be deleted now. `make check-deployed ENV={environment.name}` lists what is missing.")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (SettingsError, LocalStackError) as error:
        sys.exit(f"make deploy: {error}")
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"make deploy: CloudFormation refused to describe or to protect the stack: {error}")
