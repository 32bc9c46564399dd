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

# The version that the schedules run. A function's newest code may have been rolled back.
ALIAS = "live"
# A little longer than Lambda runs a function.
RUN_SECONDS = 910
# Counts that each run starts at zero.
SUMMED = ("read", "found", "healed", "quarantined", "failed")


def run_until_finished(stack: str, function: str, title: str) -> dict[str, Any]:
    """Start the stack's function until its work is finished, with a progress bar on stderr. Raises ProfileError.

    Returns the sums of all runs' counts, and the last run's other values. The bar has no total, because a run doesn't
    know in advance how much there is to do, and reports only at its end.
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
            # The result of a reconciliation without Stripe's key has no `finished`.
            finished = total.pop("finished", True)
            counted = ", ".join(f"{name} {total[name]:,}" for name in SUMMED if name in total)
            if finished:
                bar.update(task, description=f"{title}: {counted}", total=1, completed=1)
                break
            bar.update(task, description=f"{title}, run {number}: {counted} so far", refresh=True)
    return total


def about_verification(total: Mapping[str, Any]) -> str:
    """A sentence that explains the sums of a verification."""
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
    """A sentence that explains the sums of a reconciliation."""
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
    # No retry by boto3: it would start a second run when the first one takes long.
    config = Config(read_timeout=RUN_SECONDS, retries={"total_max_attempts": 1})
    try:
        resource = aws.client("cloudformation", **options).describe_stack_resource(
            StackName=stack, LogicalResourceId=function
        )
        name = resource["StackResourceDetail"]["PhysicalResourceId"]
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
    """boto3's options for a local stack, unless the environment names another endpoint."""
    profile = read_profile()
    if profile is None or profile.aws_endpoint_url is None or "AWS_ENDPOINT_URL" in os.environ:
        return {}
    return {
        "endpoint_url": profile.aws_endpoint_url,
        "region_name": "us-east-1",
        "aws_access_key_id": "test",
        "aws_secret_access_key": "test",
    }
