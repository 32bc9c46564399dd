"""`prepaid verify` and `prepaid reconcile`: start the stack's own scheduled functions, and wait for them.

They have no route of the API: this needs AWS credentials that may describe the stack and invoke the two functions.
"""

import json
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from prepaid_client.cli.printing import shown
from prepaid_client.cli.profile import ProfileError, read_profile

# The longest that Lambda runs a function, and a little more.
RUN_SECONDS = 910
# Each run counts these anew. The rest is as the last run leaves it.
SUMMED = ("read", "found", "healed", "quarantined", "failed")


def runs(stack: str, function: str, title: str) -> Iterator[dict[str, Any]]:
    """The result of each run, until one has finished the work; with a bar on stderr meanwhile. Raises ProfileError."""
    client = _lambda(stack, function)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    terminal = Console(stderr=True)
    with (
        Progress(*columns, console=terminal, disable=not terminal.is_terminal) as bar,
        ThreadPoolExecutor(1) as pool,
    ):
        task = bar.add_task(title, total=None)
        number = 0
        while True:
            number += 1
            result = pool.submit(client).result()
            counted = ", ".join(f"{name} {value}" for name, value in result.items() if name != "finished")
            bar.update(task, description=f"{title}, run {number}: {counted}")
            yield result
            # Without Stripe's key, a reconciliation has nothing to do.
            if result.get("finished", True):
                bar.update(task, total=1, completed=1)
                return


def about_verification(total: Mapping[str, Any]) -> str:
    """What the sums of a verification mean, in a sentence."""
    if total["found"]:
        return "The log of VerifyFunction names each finding."
    if total["read"]:
        return "Every row that was read is as the rules say."
    if "began_at" not in total:
        return "Nothing is due: the stack checks what is new once a day."
    began, due = (shown(datetime.fromisoformat(total[name])) for name in ("began_at", "due_at"))
    return (
        f"Nothing is due: the last check began at {began} and read what was stored by then. The next is due at {due}."
    )


def about_reconciliation(total: Mapping[str, Any]) -> str:
    """What the sums of a reconciliation mean, in a sentence."""
    if not total.get("configured", True):
        return "Stripe is not configured yet, so there is nothing to compare."
    if total["failed"] or total["waiting"]:
        return "Some checks failed, and each run tries them again. The log of ReconcileFunction names them."
    if total["quarantined"]:
        return "The log of ReconcileFunction names what is quarantined: a person must decide."
    until = f" up to {shown(datetime.fromisoformat(total['until']))}" if "until" in total else ""
    if total["healed"]:
        return f"The purchases that were behind Stripe are healed. Everything{until} is compared."
    return f"Nothing differs: what happened at Stripe{until} is in the ledger."


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
            response = client.invoke(FunctionName=name, Payload=b"{}")
            result: dict[str, Any] = json.loads(response["Payload"].read())
        except (BotoCoreError, ClientError) as error:
            raise ProfileError(f"{name} can't be started: {error}") from error
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
