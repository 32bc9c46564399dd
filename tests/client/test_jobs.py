"""`prepaid verify` and `prepaid reconcile`: they run the stack's functions, and count what was done."""

import json
import os
import signal
import subprocess
import threading
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.aws_endpoint import aws_endpoint
from tests.support.command_line import PROGRAM, in_a_terminal, rows
from tests.support.gateway_events import Context
from tests.support.handlers import Clock
from tests.support.in_process import Service
from tests.support.versions import ROOT


def aws_at(url: str) -> Mapping[str, str]:
    """The environment of an operator, with AWS at this address."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
    }


def run_job(url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **aws_at(url)}
    return subprocess.run([PROGRAM, *arguments], env=environment, capture_output=True, text=True, check=False)


def test_a_verification_goes_on_until_it_has_finished(service: Service) -> None:
    results = [{"read": 5, "found": 0, "finished": False}, {"read": 3, "found": 0, "finished": True}]
    started: list[str] = []

    def invoke(name: str) -> Any:
        started.append(name)
        return results[len(started) - 1]

    with aws_endpoint(invoke) as url:
        done = run_job(url, "verify", "--json")

    assert (done.returncode, json.loads(done.stdout)) == (0, {"read": 8, "found": 0})
    assert started == ["VerifyFunction"] * 2


def test_a_verification_runs_the_real_function(service: Service, fake: object) -> None:
    service.open(credits=5)

    with aws_endpoint(lambda _name: service.functions["verify"]({}, Context(remaining=900_000))) as url:
        done = run_job(url, "verify")

    assert done.returncode == 0, done.stderr
    assert ["found", "0"] in rows(done.stdout)


def test_a_verification_with_nothing_due_says_so(service: Service, clock: Clock) -> None:
    service.open(credits=5)
    run = service.functions["verify"]
    run({}, Context(remaining=900_000))
    clock.now += timedelta(hours=2)

    with aws_endpoint(lambda _name: run({}, Context(remaining=900_000))) as url:
        done, described = run_job(url, "verify"), run_job(url, "verify", "--json")

    assert rows(done.stdout)[:2] == [["read", "0"], ["found", "0"]]
    assert done.stdout.splitlines()[2] == (
        "Nothing is due: the last check began at 2026-06-16 13:00 UTC and read what was stored by then. "
        "The next is due at 2026-06-17 13:00 UTC."
    )
    assert json.loads(described.stdout) == {
        "read": 0,
        "found": 0,
        "began_at": "2026-06-16T13:00:00+00:00",
        "due_at": "2026-06-17T13:00:00+00:00",
    }


@pytest.mark.parametrize(
    ("command", "result", "words"),
    [
        ("verify", {"read": 0, "found": 0}, "Nothing is due: the stack checks new rows once a day."),
        ("verify", {"read": 7, "found": 0}, "Every row that was read follows the rules."),
        (
            "reconcile",
            {},
            "Nothing differs: the ledger has everything that happened at Stripe up to 2026-06-16 12:00 UTC",
        ),
        (
            "reconcile",
            {"healed": 2},
            (
                "The run corrected the purchases that differed from Stripe. "
                "Everything up to 2026-06-16 12:00 UTC is compared."
            ),
        ),
        ("reconcile", {"quarantined": 1}, "The log of ReconcileFunction names the quarantined payments"),
        ("reconcile", {"waiting": 1, "healed": 1}, "Some checks failed, and each run retries them."),
    ],
)
def test_a_job_says_in_words_what_its_counts_mean(command: str, result: dict[str, int], words: str) -> None:
    counts = {"healed": 0, "quarantined": 0, "failed": 0, "waiting": 0, "until": "2026-06-16T12:00:00+00:00"}
    answer = {**(counts if command == "reconcile" else {}), **result, "finished": True}

    with aws_endpoint(lambda _name: answer) as url:
        done = run_job(url, command)

    assert done.returncode == 0
    assert done.stdout.splitlines()[-1].startswith(words)


def test_a_reconciliation_before_stripe_is_configured_says_so() -> None:
    with aws_endpoint(lambda _name: {"configured": False}) as url:
        done, described = run_job(url, "reconcile"), run_job(url, "reconcile", "--json")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "Stripe is not configured yet, so there is nothing to compare.\n"
    assert json.loads(described.stdout) == {"configured": False}


def test_a_reconciliation_runs_the_real_function(service: Service, fake: object) -> None:
    run = service.functions["reconcile"]

    with aws_endpoint(lambda _name: run({}, Context(remaining=900_000))) as url:
        done = run_job(url, "reconcile")

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith(
        "Nothing differs: the ledger has everything that happened at Stripe up to 2026-06-16 13:00"
    )


def test_findings_are_exit_code_1() -> None:
    with aws_endpoint(lambda _name: {"read": 5, "found": 2, "finished": True}) as url:
        done = run_job(url, "verify")

    assert (done.returncode, ["found", "2"] in rows(done.stdout)) == (1, True)


def test_a_reconciliation_counts_what_waits_once() -> None:
    result = {"healed": 1, "quarantined": 0, "failed": 0, "waiting": 4}
    finished = iter([False, True])

    with aws_endpoint(lambda _name: {**result, "finished": next(finished)}) as url:
        done = run_job(url, "reconcile", "--json")

    assert json.loads(done.stdout) == {"healed": 2, "quarantined": 0, "failed": 0, "waiting": 4}


def test_a_function_that_fails_is_exit_code_2() -> None:
    def invoke(_name: str) -> Any:
        raise TimeoutError("Task timed out")

    with aws_endpoint(invoke) as url:
        failed = run_job(url, "reconcile")
        missing = run_job(url, "reconcile", "--stack", "other")

    assert (failed.returncode, missing.returncode) == (2, 2)
    assert "ReconcileFunction failed (TimeoutError): its log has the cause" in failed.stderr
    assert "the stack other can't be read" in missing.stderr


def test_only_the_version_that_the_stack_runs_is_started() -> None:
    readme = (ROOT / "clients/python/README.md").read_text()
    policy = json.loads(readme.partition("```json\n")[2].partition("```")[0])

    allowed = {statement["Action"]: statement["Resource"] for statement in policy["Statement"]}

    assert allowed == {
        "cloudformation:DescribeStackResource": "arn:aws:cloudformation:REGION:ACCOUNT:stack/prepaid/*",
        "lambda:InvokeFunction": [
            f"arn:aws:lambda:REGION:ACCOUNT:function:prepaid-{name}Function-*:live" for name in ("Verify", "Reconcile")
        ],
    }


def test_a_bar_counts_what_all_runs_have_done() -> None:
    results = iter([{"read": 1200, "found": 0, "finished": False}, {"read": 34, "found": 0, "finished": True}])

    with aws_endpoint(lambda _name: next(results)) as url:
        shown = in_a_terminal("verify", environment=aws_at(url), columns=100)

    states = ["verifying, run 1 ", "verifying, run 2: read 1,200, found 0 so far ", "verifying: read 1,234, found 0 "]
    places = [shown.find(state) for state in states]
    assert -1 < places[0] < places[1] < places[2], shown
    assert all("━━━━" in shown[place : place + 200] for place in places)
    assert "0:00:0" in shown
    assert shown.splitlines()[-1] == "Every row that was read follows the rules."


def test_a_reconciliation_has_a_bar_too() -> None:
    counts = {"healed": 2, "quarantined": 0, "failed": 0, "waiting": 0, "until": "2026-06-16T12:00:00+00:00"}

    with aws_endpoint(lambda _name: {**counts, "finished": True}) as url:
        shown = in_a_terminal("reconcile", environment=aws_at(url), columns=100)

    assert "reconciling: healed 2, quarantined 0, failed 0 " in shown
    assert "━━━━" in shown


def test_a_program_sees_no_bar() -> None:
    with aws_endpoint(lambda _name: {"read": 5, "found": 0, "finished": True}) as url:
        done = run_job(url, "verify")

    assert (done.returncode, done.stderr) == (0, "")
    assert "━" not in done.stdout


def test_ctrl_c_ends_the_waiting_at_once() -> None:
    begun, ends = threading.Event(), threading.Event()

    def invoke(_name: str) -> Any:
        begun.set()
        ends.wait(60)
        return {"read": 5, "found": 0, "finished": True}

    with aws_endpoint(invoke) as url:
        environment = {**os.environ, **aws_at(url)}
        pipe = subprocess.PIPE
        with subprocess.Popen([PROGRAM, "verify"], env=environment, text=True, stdout=pipe, stderr=pipe) as program:
            assert begun.wait(60)
            program.send_signal(signal.SIGINT)
            printed = program.communicate(timeout=20)
        ends.set()

    assert (program.returncode, printed) == (130, ("", ""))


def test_ctrl_c_is_quiet_while_the_program_starts(tmp_path: Path) -> None:
    """A library of its own that never finishes loading stands for one that takes long."""
    (tmp_path / "httpx.py").write_text("import time\nprint('loading', flush=True)\ntime.sleep(60)\n")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    pipe = subprocess.PIPE

    with subprocess.Popen([PROGRAM, "balance"], env=environment, text=True, stdout=pipe, stderr=pipe) as program:
        assert program.stdout
        loading = program.stdout.readline()
        program.send_signal(signal.SIGINT)
        printed = program.communicate(timeout=20)

    assert (loading, program.returncode, printed) == ("loading\n", 130, ("", ""))
