"""What `make build` and `make deploy` do before AWS is asked: architecture, parameters, marks and protection."""

import json
import os
import re
import struct
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from deployment.build import BUILT, architecture_of, machine_of
from deployment.deploy import POLICY, check_table, deploy_arguments, protect
from deployment.marks import mark
from deployment.settings import (
    CONFIG,
    Account,
    Environment,
    SettingsError,
    account_of,
    every_parameter,
    read_environment,
    read_template,
)
from tests.support import expected_events as events
from tests.support.described_aws import DescribedAws, refusal
from tests.support.expected_parameters import PARAMETERS
from tests.support.expected_template import RETAINED
from tests.support.template import of_type

ROOT = Path(__file__).parents[2]
ACCOUNT = Account(session=None, id="111122223333", region="sa-east-1")


def library(folder: Path, name: str, machine: int) -> Path:
    file = folder / name
    file.write_bytes(b"\x7fELF" + bytes(14) + struct.pack("<H", machine) + bytes(20))
    return file


def environment(**parameters: str) -> Environment:
    return Environment(name="test", stack_name="prepaid-test", region=None, parameters=parameters)


# ---- One architecture ----


def test_the_architecture_is_read_from_compiled_files(tmp_path: Path) -> None:
    library(tmp_path, "one.cpython-313-aarch64-linux-gnu.so", 183)
    (tmp_path / "not-compiled.so.txt").write_text("text")

    assert architecture_of(tmp_path) == "arm64"
    assert machine_of(library(tmp_path, "other", 62)) == "x86_64"


@pytest.mark.parametrize("machines", [(), (183, 62)])
def test_a_layer_of_no_or_two_architectures_is_refused(tmp_path: Path, machines: tuple[int, ...]) -> None:
    for machine in machines:
        library(tmp_path, f"{machine}.so", machine)

    with pytest.raises(SettingsError, match="one architecture"):
        architecture_of(tmp_path)


def test_nothing_but_the_build_says_the_architecture() -> None:
    with pytest.raises(SettingsError, match="make build ARCHITECTURE"):
        every_parameter(environment(Architecture="x86_64"), read_template(), "arm64")


# ---- Environments ----


@pytest.mark.parametrize("name", ["staging", "prod"])
def test_an_environment_names_parameters_that_exist(name: str) -> None:
    parameters = every_parameter(read_environment(name), read_template(), "arm64")

    assert set(parameters) == set(PARAMETERS | events.PARAMETERS)
    assert parameters["Architecture"] == "arm64"


def test_staging_and_prod_are_two_stacks() -> None:
    staging, prod = read_environment("staging"), read_environment("prod")

    assert staging.stack_name != prod.stack_name
    assert staging.parameters["StripeLiveMode"] == "false"
    assert (prod.parameters["StripeLiveMode"], prod.parameters["Canary"]) == ("true", "true")


@pytest.mark.parametrize("name", ["staging", "prod"])
def test_an_environment_asks_who_hears_its_alarms(name: str) -> None:
    """Without an address the check of the deployed stack fails, and the pipeline stops before prod."""
    section = CONFIG.read_text("utf-8").partition(f"[{name}.deploy.parameters]")[2].partition("\n[")[0]

    assert re.search(r'"AlarmEmail=.*", +# EDIT', section)
    assert "AlarmEmail" in read_environment(name).parameters


def test_an_unknown_environment_or_parameter_is_an_error() -> None:
    with pytest.raises(SettingsError, match="it has prod, staging"):
        read_environment("production")
    with pytest.raises(SettingsError, match="no parameter AlarmMail"):
        every_parameter(environment(AlarmMail="ops@example.com"), read_template(), "arm64")


def test_a_changed_default_reaches_a_stack_that_exists() -> None:
    """CloudFormation keeps the old value of a parameter that a deployment doesn't send."""
    template = read_template()
    template["Parameters"]["ThrottleRate"]["Default"] = 750

    sent = every_parameter(environment(), template, "arm64")

    assert sent["ThrottleRate"] == "750"


def test_a_value_keeps_its_spaces_and_may_be_empty(tmp_path: Path) -> None:
    config = tmp_path / "samconfig.toml"
    config.write_text(
        '[test.deploy.parameters]\nstack_name = "s"\n'
        'parameter_overrides = ["SweepSchedule=\\"rate(2 hours)\\"", "PortalUrl=\\"\\""]\n'
    )

    read = read_environment("test", config)
    parameters = read.parameters

    assert parameters == {"SweepSchedule": "rate(2 hours)", "PortalUrl": ""}
    assert 'SweepSchedule="rate(2 hours)"' in deploy_arguments(read, ACCOUNT, BUILT, parameters, [])


def test_parameters_of_the_command_line_would_replace_all() -> None:
    with pytest.raises(SettingsError, match="samconfig"):
        deploy_arguments(environment(), ACCOUNT, BUILT, {}, ["--parameter-overrides", "LogLevel=DEBUG"])


def test_sam_is_told_where_the_environments_are() -> None:
    """It would look for samconfig.toml beside the built template, and miss the stack's name."""
    arguments = deploy_arguments(environment(), ACCOUNT, BUILT, {}, [])

    assert arguments[arguments.index("--config-file") + 1] == str(CONFIG)
    assert arguments[arguments.index("--region") + 1] == "sa-east-1"


# ---- The account ----


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A shell without credentials and without a region."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return monkeypatch


def test_without_a_region_a_deployer_reads_where_to_set_it(nobody: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match=r"no region: .* \[test.deploy.parameters\] in samconfig.toml"):
        account_of(environment())


@pytest.mark.parametrize("variable", ["AWS_REGION", "AWS_DEFAULT_REGION"])
def test_without_credentials_a_deployer_reads_how_to_try(nobody: pytest.MonkeyPatch, variable: str) -> None:
    nobody.setenv(variable, "sa-east-1")

    with pytest.raises(SettingsError, match=r"no AWS credentials that work: .*`aws sts get-caller-identity`"):
        account_of(environment())


# ---- A version for every change ----


def built(folder: Path) -> Path:
    for name in ("ConsumeFunction", "VerifyFunction"):
        (folder / name).mkdir()
        (folder / name / "app.py").write_text("handler = None\n")
    (folder / "PrepaidLayer").mkdir()
    return folder


def test_a_changed_parameter_changes_every_functions_code(tmp_path: Path) -> None:
    build = built(tmp_path)
    first = {file: file.read_bytes() for file in mark(build, {"ReturnUrl": "https://a.example.com"})}

    second = {file: file.read_bytes() for file in mark(build, {"ReturnUrl": "https://b.example.com"})}

    assert {file.parent.name for file in first} == {"ConsumeFunction", "VerifyFunction"}
    assert all(first[file] != second[file] for file in first)


def test_the_same_parameters_leave_the_same_code(tmp_path: Path) -> None:
    build = built(tmp_path)
    first = [file.read_bytes() for file in mark(build, {"A": "1", "B": "2"})]

    assert [file.read_bytes() for file in mark(build, {"B": "2", "A": "1"})] == first


# ---- The table ----

OWN = ""
KEPT, RESTORED = (f"arn:aws:dynamodb:sa-east-1:111122223333:table/prepaid-{name}" for name in ("kept", "restored"))


def on_table(table: str, status: str = "UPDATE_COMPLETE") -> DescribedAws:
    """An account with a stack that works on this table."""
    given = [{"ParameterKey": "ExistingTable", "ParameterValue": table}, {"ParameterKey": "LogLevel"}]
    facts = {"StackName": "prepaid", "CreationTime": datetime.now(UTC), "StackStatus": status, "Parameters": given}
    return DescribedAws({"DescribeStacks": {"Stacks": [facts]}})


def deploy_on(
    aws: DescribedAws, table: str, *, change: bool = False, stream: str | None = None, canary: str = "false"
) -> None:
    """What `make deploy` checks before it deploys with this ExistingTable."""
    its_stream = f"{table}/stream/2026-11-27T09:00:00.000" if table else ""
    named = {"ExistingTable": table, "ExistingTableStream": its_stream if stream is None else stream}
    parameters = {**named, "Canary": canary}
    check_table(aws.client("cloudformation"), "prepaid", parameters, change=change)


@pytest.mark.parametrize("table", [OWN, KEPT])
def test_a_deployment_goes_on_with_the_stacks_table(table: str) -> None:
    deploy_on(on_table(table), table)


@pytest.mark.parametrize("table", [OWN, KEPT])
@pytest.mark.parametrize(
    "aws", [DescribedAws({"DescribeStacks": refusal("ValidationError")}), on_table(OWN, "REVIEW_IN_PROGRESS")]
)
def test_a_new_stack_may_have_any_table(aws: DescribedAws, table: str) -> None:
    deploy_on(aws, table)


@pytest.mark.parametrize(
    ("used", "named", "words"),
    [
        (KEPT, OWN, f"works on {KEPT}, and samconfig.toml names no other one: .* Set ExistingTable to {KEPT}"),
        (OWN, KEPT, f"works on its own table, and samconfig.toml names {KEPT}: .* Set ExistingTable to nothing"),
        (KEPT, RESTORED, f"works on {KEPT}, and samconfig.toml names {RESTORED}: .* Set ExistingTable to {KEPT}"),
    ],
)
def test_another_table_is_refused_unless_it_is_on_purpose(used: str, named: str, words: str) -> None:
    with pytest.raises(SettingsError, match=f"{words}.*docs/disaster.md and add DEPLOY_ARGS=--change-table"):
        deploy_on(on_table(used), named)

    deploy_on(on_table(used), named, change=True)


def test_two_versions_never_write_to_two_tables() -> None:
    """A canary would: for five minutes, callers of the old versions charge one table, those of the new another."""
    with pytest.raises(SettingsError, match="set Canary=false for this deployment"):
        deploy_on(on_table(OWN), RESTORED, change=True, canary="true")

    deploy_on(on_table(KEPT), KEPT, canary="true")


@pytest.mark.parametrize("table", [OWN, KEPT])
def test_the_stream_of_another_table_is_refused(table: str) -> None:
    with pytest.raises(SettingsError, match="isn't a stream of ExistingTable"):
        deploy_on(on_table(table), table, stream=f"{RESTORED}/stream/2026-11-27T09:00:00.000")


def test_a_stack_that_cannot_be_described_is_not_deployed() -> None:
    with pytest.raises(ClientError, match="AccessDenied"):
        deploy_on(DescribedAws({"DescribeStacks": refusal("AccessDenied")}), KEPT)


# ---- Protection ----


def refused(action: str) -> set[str]:
    """The resources for which the stack policy refuses one of an update's actions."""
    allowed, *denied = json.loads(POLICY.read_text("utf-8"))["Statement"]
    assert (allowed["Effect"], allowed["Action"], allowed["Resource"]) == ("Allow", "Update:*", "*")
    assert {statement["Effect"] for statement in denied} == {"Deny"}
    return {
        name.removeprefix("LogicalResourceId/")
        for statement in denied
        if {action, "Update:*"}
        & set([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
        for name in statement["Resource"]
    }


def test_a_release_can_replace_nothing_that_outlives_it() -> None:
    assert refused("Update:Replace") == RETAINED | {"CursorSecret", "WebhookSecret"}


def test_a_release_takes_away_nothing_that_outlives_it() -> None:
    # Without WebhookTarget, the stack lets go of the webhook's secret, which is retained.
    assert refused("Update:Delete") == RETAINED | {"CursorSecret"}


def test_a_release_changes_no_secret() -> None:
    """A changed GenerateSecretString or SecretString would write over what was rotated or stored by hand."""
    secrets = of_type(read_template(), "AWS::SecretsManager::Secret")

    assert len(secrets) == 6
    assert refused("Update:Modify") == set(secrets)


def test_a_deployed_stack_is_protected() -> None:
    aws = DescribedAws({"SetStackPolicy": {}, "UpdateTerminationProtection": {"StackId": "prepaid"}})

    protect(aws.client("cloudformation"), "prepaid")

    [(_, policy), (_, protection)] = aws.calls
    assert policy == {"StackName": "prepaid", "StackPolicyBody": POLICY.read_text("utf-8")}
    assert protection == {"StackName": "prepaid", "EnableTerminationProtection": True}


def test_a_deployer_without_an_account_waits_for_no_build(nobody: pytest.MonkeyPatch) -> None:
    # `make test` sets them. With them, another make prints the folder that it enters.
    for name in ("MAKEFLAGS", "MAKELEVEL"):
        nobody.delenv(name, raising=False)

    shown = subprocess.run(["make", "deploy", "ENV=staging"], cwd=ROOT, capture_output=True, text=True, check=False)

    assert shown.returncode != 0
    assert shown.stderr.startswith("make deploy: no region: add region = ")
    assert shown.stdout == ""


def test_make_names_the_environment_of_a_deployment() -> None:
    shown = subprocess.run(["make", "-n", "deploy", "ENV=prod"], cwd=ROOT, capture_output=True, text=True, check=True)

    commands = [line for line in shown.stdout.splitlines() if "deployment." in line]
    assert [re.findall(r"deployment\.\w+", line) for line in commands] == [
        ["deployment.ready"],
        ["deployment.build"],
        ["deployment.deploy"],
    ]
    assert "deployment.build --architecture arm64" in shown.stdout
    assert "deployment.deploy --environment prod" in shown.stdout
