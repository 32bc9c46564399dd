"""The commands against the real functions: tables for people, JSON for programs, and exit codes."""

import contextlib
import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.aws_endpoint import aws_endpoint
from tests.support.command_line import CommandLine
from tests.support.gateway_events import Context
from tests.support.handlers import Clock
from tests.support.in_process import Service
from tests.support.stripe_purchases import Storefront


def rows(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines() if line.strip()]


def test_a_balance_is_a_table_and_json(prepaid: CommandLine, service: Service) -> None:
    service.open(credits=10, plan="trio", ai_enabled=True)
    service.spend(3)

    text = prepaid("balance", "acme").stdout

    assert ["available", "7"] in rows(text)
    limit = service.balance()["quotas"][0]["limit"]
    assert any(row[:4] == ["ai_service", str(limit), "0", str(limit)] for row in rows(text))
    assert any(row[1:4] == ["promotion", "10", "7"] for row in rows(text))
    assert prepaid.json("balance", "acme") == json.loads(json.dumps(service.balance()).replace(".000Z", "Z"))


def test_a_history_shows_the_newest_entries(prepaid: CommandLine, service: Service) -> None:
    service.open(credits=500)
    for number in range(120):
        service.spend(1, key=f"job-{number}")

    listed = rows(prepaid("history", "acme", "--type", "consumption", "--limit", "110").stdout)
    newest = prepaid.json("history", "acme", "--limit", "2")

    assert len(listed) == 111
    assert listed[0][:3] == ["entry", "at", "type"]
    assert [entry["type"] for entry in newest] == ["consumption", "consumption"]
    assert len(prepaid("history", "acme", "--csv").stdout.splitlines()) == 123


def test_a_narrow_terminal_breaks_no_value(prepaid: CommandLine, service: Service) -> None:
    """Each row is one line, which the terminal wraps, without spaces at its end."""
    service.open(credits=500)
    charge = {"feature": "sticker", "customer": "cus_670671cd", "reference": "order-000000000000000000000000000042"}
    service("POST /v1/accounts/{account}/consumptions", json=charge)

    shown = in_a_terminal(prepaid, "history", "acme", "--limit", "1")

    heading, row = (re.sub(r"\x1b\[[0-9;]*m", "", line) for line in shown.splitlines())
    assert heading.split()[-2:] == ["customer", "reference"]
    assert row.split()[-2:] == ["cus_670671cd", "order-000000000000000000000000000042"]
    assert (heading, row) == (heading.rstrip(), row.rstrip())


def in_a_terminal(prepaid: CommandLine, *arguments: str, columns: int = 40) -> str:
    """What the installed program prints on a terminal of this width."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {**os.environ, "TERM": "xterm", "PREPAID_PROFILE": str(prepaid.profile)}
    program = Path(sys.executable).with_name("prepaid")
    with (
        os.fdopen(ours, "rb", buffering=0) as terminal,
        subprocess.Popen([program, *arguments], env=environment, stdout=its, stdin=its),
    ):
        os.close(its)
        text = b""
        # Linux reports the end of a terminal's last program as an error.
        with contextlib.suppress(OSError):
            while read := terminal.read(4096):
                text += read
    return text.decode().replace("\r\n", "\n")


def test_texts_of_customers_are_no_markup(prepaid: CommandLine, service: Service) -> None:
    service.open(credits=5)
    service("POST /v1/accounts/{account}/consumptions", json={"feature": "sticker", "customer": "[red]c[/red]"})

    assert "[red]c[/red]" in prepaid("history", "acme").stdout


def test_a_statement_adds_up(prepaid: CommandLine, service: Service) -> None:
    service.open(credits=10)
    service.spend(3)

    listed = rows(prepaid("statement", "acme", "2026-06").stdout)

    assert ["promotional", "10"] in listed
    assert ["spent", "-3"] in listed
    assert ["closing", "7"] in listed
    assert "voided" not in [row[0] for row in listed]
    assert prepaid.json("statement", "acme", "2026-06")["credits"]["closing"] == 7
    assert "closing" in prepaid("statement", "acme", "2026-06", "--csv").stdout


def test_a_grant_asks_first(prepaid: CommandLine, service: Service) -> None:
    service.open(credits=1)
    command = ("grant", "acme", "--credits", "20", "--reason", "Sorry", "--kind", "adjustment")

    refused = prepaid(*command, typed="n\n", exits=1)
    before = service.balance()["credits"]["available"]
    prepaid(*command, typed="y\n")

    assert "Grant 20 credits to acme, which has 1?" in refused.stderr
    assert (before, service.balance()["credits"]["available"]) == (1, 21)


def test_a_grant_is_tried_again_with_its_key(prepaid: CommandLine, service: Service) -> None:
    service.open()
    command = ("grant", "acme", "--credits", "20", "--reason", "Sorry", "--yes", "--key", "ticket-9")

    first, again = prepaid.json(*command), prepaid.json(*command)

    assert (first["replayed"], again["replayed"]) == (False, True)
    assert service.balance()["credits"]["available"] == 20


def test_a_link_comes_with_its_qr_code(prepaid: CommandLine, service: Service) -> None:
    service.open()

    text = prepaid("portal", "acme", "--language", "en").stdout

    assert "/portal/enter/" in rows(text)[0][1]
    assert text.count("█") > 100
    assert "url" in prepaid.json("portal", "acme")


def test_accounts_are_opened_changed_and_listed(prepaid: CommandLine, service: Service) -> None:
    prepaid("account", "put", "acme", "--name", "Pet & Cia", "--plan", "trio", "--ai")
    prepaid("account", "put", "acme", "--name", "Pets")
    service.codes.add("274914")
    prepaid("account", "code", "acme", typed="274914\n274914\n")

    shown = prepaid.json("account", "show", "acme")
    assert (shown["name"], shown["plan"], shown["ai_enabled"], shown["manager_code_set"]) == (
        "Pets",
        "trio",
        True,
        True,
    )
    assert [account["account"] for account in prepaid.json("account", "list")] == ["acme"]
    assert rows(prepaid("account", "list").stdout)[1][0] == "acme"
    assert ["name", "Pets"] in rows(prepaid("account", "show", "acme").stdout)


def test_an_account_without_a_name_is_not_opened(prepaid: CommandLine) -> None:
    assert "account_not_found" in prepaid("account", "put", "acme", "--plan", "trio", exits=1).stderr


def test_purchases_are_listed(prepaid: CommandLine, storefront: Storefront) -> None:
    purchase = storefront.buy()

    assert rows(prepaid("purchases", "acme", "--state", "open").stdout)[1][0] == purchase.id
    assert prepaid.json("purchases", "acme", "--state", "granted") == []
    assert rows(prepaid("purchases", "acme", "--state", "granted").stdout)[1:] == [["(none)"]]


def test_a_refusal_is_exit_code_1(prepaid: CommandLine) -> None:
    people = prepaid("balance", "nobody", exits=1)
    program = prepaid("balance", "nobody", "--json", exits=1)

    assert people.stderr == "prepaid: 404 account_not_found: There is no such account.\n"
    assert json.loads(program.stderr)["code"] == "account_not_found"
    assert people.stdout == program.stdout == ""


def test_no_answer_is_exit_code_2(prepaid: CommandLine, service: Service) -> None:
    command = ("grant", "acme", "--credits", "1", "--reason", "r", "--yes", "--json", "--key", "k")

    result = prepaid(*command, exits=2, PREPAID_URL="http://127.0.0.1:1", PREPAID_TOKEN="x")

    assert json.loads(result.stderr)["key"] == "k"
    assert json.loads(result.stderr)["may_have_happened"] is False


def test_a_wrong_command_is_exit_code_2(prepaid: CommandLine) -> None:
    for command in (("balance",), ("nothing",), ("login", "--as", "root"), ("grant", "acme", "--credits", "0")):
        prepaid(*command, exits=2)


def run_job(url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The installed program, with AWS at this address."""
    environment = {
        **os.environ,
        "AWS_ENDPOINT_URL": url,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
    }
    program = Path(sys.executable).with_name("prepaid")
    return subprocess.run([program, *arguments], env=environment, capture_output=True, text=True, check=False)


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
    ("command", "result", "said"),
    [
        ("verify", {"read": 0, "found": 0}, "Nothing is due: the stack checks what is new once a day."),
        ("verify", {"read": 7, "found": 0}, "Every row that was read is as the rules say."),
        ("reconcile", {}, "Nothing differs: what happened at Stripe up to 2026-06-16 12:00 UTC is in the ledger."),
        (
            "reconcile",
            {"healed": 2},
            "The purchases that were behind Stripe are healed. Everything up to 2026-06-16 12:00 UTC is compared.",
        ),
        ("reconcile", {"quarantined": 1}, "The log of ReconcileFunction names what is quarantined"),
        ("reconcile", {"waiting": 1, "healed": 1}, "Some checks failed, and each run tries them again."),
    ],
)
def test_a_job_says_in_words_what_its_counts_mean(command: str, result: dict[str, int], said: str) -> None:
    counts = {"healed": 0, "quarantined": 0, "failed": 0, "waiting": 0, "until": "2026-06-16T12:00:00+00:00"}
    answer = {**(counts if command == "reconcile" else {}), **result, "finished": True}

    with aws_endpoint(lambda _name: answer) as url:
        done = run_job(url, command)

    assert done.returncode == 0
    assert done.stdout.splitlines()[-1].startswith(said)


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
    assert done.stdout.splitlines()[-1].startswith("Nothing differs: what happened at Stripe up to 2026-06-16 13:00")


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
