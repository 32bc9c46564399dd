"""The commands against the real functions: tables for people, JSON for programs, and exit codes."""

import json

import typer

from prepaid_client.cli.commands import app
from tests.support.command_line import CommandLine, in_a_terminal, rows
from tests.support.in_process import Service
from tests.support.stripe_purchases import Storefront


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

    shown = in_a_terminal("history", "acme", "--limit", "1", environment={"PREPAID_PROFILE": str(prepaid.profile)})

    heading, row = shown.splitlines()
    assert heading.split()[-2:] == ["customer", "reference"]
    assert row.split()[-2:] == ["cus_670671cd", "order-000000000000000000000000000042"]
    assert (heading, row) == (heading.rstrip(), row.rstrip())


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
    printed = prepaid("account", "code", "acme", typed="274914\n274914\n").stdout
    answered = prepaid("account", "code", "acme", "--json", typed="274914\n274914\n").stdout

    assert rows(printed) == [["The", "code", "of", "acme", "is", "set."]]
    assert json.loads(answered) == {"account": "acme", "manager_code_set": True}
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
    command = ("account", "put", "acme", "--plan", "trio")

    people, program = prepaid(*command, exits=1), prepaid(*command, "--json", exits=1)

    assert people.stderr == ("prepaid: 404 account_not_found: There is no such account. A new account needs --name.\n")
    assert json.loads(program.stderr)["code"] == "account_not_found"


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
    """It retries until the client's own deadline, half a minute."""
    command = ("grant", "acme", "--credits", "1", "--reason", "r", "--yes", "--json", "--key", "k")

    result = prepaid(*command, exits=2, PREPAID_URL="http://127.0.0.1:1", PREPAID_TOKEN="x")

    assert json.loads(result.stderr)["key"] == "k"
    assert json.loads(result.stderr)["may_have_happened"] is False


def test_a_wrong_command_is_exit_code_2(prepaid: CommandLine) -> None:
    for command in (("balance",), ("nothing",), ("login", "--as", "root"), ("grant", "acme", "--credits", "0")):
        prepaid(*command, exits=2)


def test_every_command_answers_programs() -> None:
    group = typer.main.get_command(app)
    groups = [group, *(command for command in group.commands.values() if hasattr(command, "commands"))]  # type: ignore[attr-defined]
    commands = [
        command for subgroup in groups for command in subgroup.commands.values() if not hasattr(command, "commands")
    ]

    without = [
        command.name for command in commands if not any("--json" in parameter.opts for parameter in command.params)
    ]

    assert len(commands) > 12
    assert without == []
