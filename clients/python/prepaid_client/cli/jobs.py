"""`prepaid verify` and `prepaid reconcile`: start the stack's own scheduled functions, and wait for them.

No route of the API starts them. The caller needs AWS credentials that allow it to describe the stack and to invoke the
alias `live` of both functions, which is the version that the stack runs.
"""

import itertools
import json
import os
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from prepaid_client.cli.printing import shown
from prepaid_client.cli.profile import ProfileError, read_profile

# What the schedules run too. The function's newest code may be one that a deployment has withdrawn.
ALIAS = "live"
# The longest that Lambda runs a function, and a little more.
RUN_SECONDS = 910
# Each run counts these from zero.
SUMMED = ("read", "found", "healed", "quarantined", "failed")


def run_until_finished(stack: str, function: str, title: str) -> dict[str, Any]:
    """Start the stack's function until it has finished the work, with a bar on stderr meanwhile. Raises ProfileError.

    Returns the counts of all runs together, and everything else as the last run returned it. The bar has no total: a
    run returns only at its end, and doesn't know before how much there is to do. So the bar counts what is done.
    """
    start = _lambda(stack, function)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    terminal = Console(stderr=True)
    with Progress(*columns, console=terminal, disable=not terminal.is_terminal) as bar:
        task = bar.add_task(f"{title}, run 1", total=None)
        total: dict[str, Any] = {}
        for number in itertools.count(2):
            result = start()
            total = {**result, **{name: total.get(name, 0) + result[name] for name in SUMMED if name in result}}
            # Without Stripe's key, a reconciliation has nothing to do.
            finished = total.pop("finished", True)
            counted = ", ".join(f"{name} {total[name]:,}" for name in SUMMED if name in total)
            if finished:
                bar.update(task, description=f"{title}: {counted}", total=1, completed=1)
                break
            bar.update(task, description=f"{title}, run {number}: {counted} so far", refresh=True)
    return total


def about_verification(total: Mapping[str, Any]) -> str:
    """What the sums of a verification mean, in a sentence."""
    if total["found"]:
        return "The log of VerifyFunction names each finding."
    if total["read"]:
        return "Every row that was read follows the rules."
    if "began_at" not in total:
        return "Nothing is due: the stack checks new rows once a day."
    began, due = (shown(datetime.fromisoformat(total[name])) for name in ("began_at", "due_at"))
    return (
        f"Nothing is due: the last check began at {began} and read what was stored by then. The next is due at {due}."
    )


def about_reconciliation(total: Mapping[str, Any]) -> str:
    """What the sums of a reconciliation mean, in a sentence."""
    if not total.get("configured", True):
        return "Stripe is not configured yet, so there is nothing to compare."
    if total["failed"] or total["waiting"]:
        return "Some checks failed, and each run retries them. The log of ReconcileFunction names them."
    if total["quarantined"]:
        return "The log of ReconcileFunction names the quarantined payments: a person must decide."
    until = f" up to {shown(datetime.fromisoformat(total['until']))}" if "until" in total else ""
    if total["healed"]:
        return f"The run corrected the purchases that differed from Stripe. Everything{until} is compared."
    return f"Nothing differs: the ledger has everything that happened at Stripe{until}."


def _lambda(stack: str, function: str) -> Any:
    """A function that starts the stack's function and returns its result."""
    try:
        import boto3  # noqa: PLC0415 - an extra of its own
        from botocore.config import Config  # noqa: PLC0415
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise ProfileError("this needs boto3: pip install 'prepaid-client[aws]'") from error
    aws: Any = boto3
    options = _local_options()
    # A run that takes long is no reason to start another one.
    config = Config(read_timeout=RUN_SECONDS, retries={"total_max_attempts": 1})
    try:
        found = aws.client("cloudformation", **options).describe_stack_resource(
            StackName=stack, LogicalResourceId=function
        )
        name = found["StackResourceDetail"]["PhysicalResourceId"]
        client = aws.client("lambda", config=config, **options)
    except (BotoCoreError, ClientError) as error:
        raise ProfileError(f"the stack {stack} can't be read: {error}") from error

    def run() -> dict[str, Any]:
        try:
            response = client.invoke(FunctionName=name, Qualifier=ALIAS, Payload=b"{}")
            result: dict[str, Any] = json.loads(response["Payload"].read())
        except (BotoCoreError, ClientError) as error:
            raise ProfileError(f"{name}:{ALIAS} can't be started: {error}") from error
        if "FunctionError" in response:
            raise ProfileError(f"{name} failed ({result.get('errorType')}): its log has the cause")
        return result

    return run


def _local_options() -> dict[str, Any]:
    """Of a local stack, unless the environment names another place."""
    profile = read_profile()
    if profile is None or profile.aws_endpoint_url is None or "AWS_ENDPOINT_URL" in os.environ:
        return {}
    return {
        "endpoint_url": profile.aws_endpoint_url,
        "region_name": "us-east-1",
        "aws_access_key_id": "test",
        "aws_secret_access_key": "test",
    }
