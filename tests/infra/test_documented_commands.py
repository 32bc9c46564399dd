"""The commands of the AWS CLI in the documents: each runs in a shell, and botocore checks what it would send to AWS.

Nothing reaches AWS: `aws` is a program that notes its arguments. The shell expands loops, functions and quotes.
"""

import json
import os
import re
import shlex
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore import xform_name
from botocore.validate import ParamValidator

from local.processes import ROOT
from tests.support.aws_commands import GLOBAL_OPTIONS, aws, blocks, operations, options, parameters
from tests.support.documents import DOCUMENTS

# Both are the CLI's own and call several operations. Their options, as `aws … help` lists them.
OWN_COMMANDS = {
    ("cloudformation", "deploy"): {"template-file", "stack-name", "capabilities", "parameter-overrides", "tags"},
    ("logs", "tail"): {"since", "follow", "format", "filter-pattern"},
}
# A stack of this template has about 180.
FIRST_HUNDRED = ("cloudformation", "describe-stack-resources")
# What a reader puts in, where a document leaves it to the reader.
READERS = {
    "POOL": "us-east-1_pool",
    "TABLE": "prepaid-Table-1",
    "CLIENT_ID": "client1",
    "CLIENT_SECRET": "secret",
    "TOKEN_URL": "https://token.example.com",
    "API": "https://api.example.com",
    "ADMIN": "token",
    "EVENT_BUS_NAME": "prepaid",
    "TABLE_NAME": "prepaid-Table-1",
    "WEBHOOK_SECRET_ARN": "WebhookSecret-1",
    "OLD_WEBHOOK_SECRET_ARN": "WebhookSecret-0",
    "WEBHOOK_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/111122223333/prepaid-WebhookQueue-1.fifo",
    "WEBHOOK_DEAD_LETTERS_URL": "https://sqs.us-east-1.amazonaws.com/111122223333/prepaid-WebhookDeadLetters-1.fifo",
}
STAND_IN = f"""#!{sys.executable}
import json, os, re, sys
name, arguments = os.path.basename(sys.argv[0]), sys.argv[1:]
with open(os.environ["NOTES"], "a") as notes:
    notes.write(json.dumps([name, *arguments]) + "\\n")
line = " ".join(arguments)
if name == "curl":
    print('{{"access_token": "token"}}')
elif "list-stack-resources" in line:
    print("prepaid-ConsumeFunction-1\\tprepaid-ReconcileFunction-2")
elif found := re.search(r"OutputKey=='(\\w+)'", line):
    print(found[1] + "-1")
elif "--query" in line:
    print("text")
"""

type Command = tuple[str, ...]


def in_text(document: Path) -> Iterator[Command]:
    """The commands between backticks, and those of indented blocks."""
    text = re.sub(r"^```.*?^```", "", document.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    for line in re.findall(r"`(aws [a-z][^`]*)`", text) + re.findall(r"^    (aws .*)$", text, re.MULTILINE):
        yield tuple(shlex.split(line, comments=True))[1:]


def run(document: Path, folder: Path) -> list[Command]:
    """The calls of `aws` when a reader runs a document's blocks one after another."""
    for name in ("aws", "curl", "make", "prepaid", "uv"):
        program = folder / name
        program.write_text(STAND_IN)
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    notes = folder / "notes"
    notes.touch()
    env = {**READERS, "PATH": f"{folder}:{os.environ['PATH']}", "NOTES": str(notes), "HOME": str(folder)}
    script = "\n".join(blocks(document))
    shown = subprocess.run(
        ["bash", "-eu", "-c", script], env=env, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert shown.returncode == 0, shown.stderr
    lines = [json.loads(line) for line in notes.read_text("utf-8").splitlines()]
    return [tuple(line[1:]) for line in lines if line[0] == "aws"]


def wrong(command: Command) -> str:
    """What AWS's own description of the operation says against a command; nothing for a mention without options."""
    service, name, *words = command
    if (service, name) == FIRST_HUNDRED:
        return "returns only the first 100 resources of a stack"
    if (service, name) in OWN_COMMANDS:
        return ", ".join(options(words)[0].keys() - OWN_COMMANDS[service, name] - GLOBAL_OPTIONS)
    if name == "wait":
        waiters = {xform_name(waiter, "-") for waiter in aws().get_waiter_model(service).waiter_names}
        return "" if words[0] in waiters else f"no waiter {words[0]}"
    if name not in operations(service):
        return f"{service} has no {name}"
    operation = operations(service)[name]
    if not words or operation.input_shape is None:
        return ""
    report = ParamValidator().validate(parameters(operation, words), operation.input_shape)
    return str(report.generate_report())


WITH_COMMANDS = [document for document in DOCUMENTS if any(re.search(r"\baws ", block) for block in blocks(document))]


@pytest.mark.parametrize("document", WITH_COMMANDS, ids=lambda document: str(document.relative_to(ROOT)))
def test_each_command_in_a_block_is_one_that_aws_takes(document: Path, tmp_path: Path) -> None:
    commands = run(document, tmp_path)

    # A loop, a function or a substitution may call it more than once.
    written = {found for block in blocks(document) for found in re.findall(r"\baws ([a-z-]+ [a-z-]+)", block)}
    assert {" ".join(command[:2]) for command in commands} >= written
    assert {command: found for command in commands if (found := wrong(command))} == {}


def test_each_command_in_a_sentence_is_one_that_aws_takes() -> None:
    commands = [command for document in DOCUMENTS for command in in_text(document)]

    assert len(commands) > 4
    assert {command: found for command in commands if (found := wrong(command))} == {}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("lambda put-function-concurrencies --function-name f", "lambda has no put-function-concurrencies"),
        ("lambda put-function-concurrency --function-name f", "ReservedConcurrentExecutions"),
        ("dynamodb update-time-to-live --table-name t --time-to-live-specification '{\"On\": true}'", "Enabled"),
        ("dynamodb wait table-there --table-name t", "no waiter"),
        ("cloudformation describe-stack-resources --stack-name s", "only the first 100 resources"),
        ("cloudformation deploy --template-path t", "template-path"),
    ],
)
def test_a_wrong_command_is_noticed(line: str, message: str) -> None:
    assert message in wrong(tuple(shlex.split(line)))


def test_an_option_that_an_operation_lacks_is_noticed() -> None:
    with pytest.raises(AssertionError, match="DeleteItem has no --table"):
        wrong(("dynamodb", "delete-item", "--table", "t"))
