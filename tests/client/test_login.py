"""`prepaid login` keeps credentials in a file of the user alone, and no secret is ever an argument."""

import json
import stat
from pathlib import Path

import pytest
import typer

from prepaid_client.cli.commands import app
from tests.support.api import CLIENTS
from tests.support.bridge import token
from tests.support.command_line import CommandLine, command_line
from tests.support.receiver import Answer, receiver
from tests.support.served import Served
from tests.support.token_endpoint import SECRET, TokenEndpoint


@pytest.fixture
def prepaid(tmp_path: Path) -> CommandLine:
    return command_line(tmp_path)


def log_in(prepaid: CommandLine, shop: Served, tokens: TokenEndpoint, name: str, secret: str = SECRET) -> None:
    urls = ("--url", shop.url, "--token-url", tokens.url)
    prepaid("login", "--as", name, *urls, "--client-id", name, typed=f"{secret}\n")


def test_a_login_asks_for_the_secret_and_keeps_it_private(
    prepaid: CommandLine, shop: Served, tokens: TokenEndpoint
) -> None:
    log_in(prepaid, shop, tokens, "service")

    assert stat.S_IMODE(prepaid.profile.stat().st_mode) == 0o600
    assert list(prepaid.profile.parent.iterdir()) == [prepaid.profile]
    assert prepaid.json("balance", "acme")["credits"]["available"] == 10


def test_a_login_asks_for_what_is_missing(prepaid: CommandLine, shop: Served, tokens: TokenEndpoint) -> None:
    result = prepaid("login", typed=f"{shop.url}\n{tokens.url}\nservice\n{SECRET}\n")

    assert SECRET not in result.output
    assert tokens.given == ["service"]


def test_a_login_answers_programs(prepaid: CommandLine, shop: Served, tokens: TokenEndpoint) -> None:
    urls = ("--url", shop.url, "--token-url", tokens.url)
    result = prepaid("login", "--json", *urls, "--client-id", "service", typed=f"{SECRET}\n")
    failed = prepaid("login", "--json", "--as", "root", exits=2)

    assert "client secret" in result.stderr
    assert json.loads(result.stdout) == {
        "url": shop.url,
        "clients": ["service"],
        "stored_in": str(prepaid.profile),
    }
    assert "--as is one of service" in json.loads(failed.stderr)["detail"]


def test_the_environment_can_bring_the_secret(prepaid: CommandLine, shop: Served, tokens: TokenEndpoint) -> None:
    urls = ("--url", shop.url, "--token-url", tokens.url)

    prepaid("login", *urls, "--client-id", "service", PREPAID_CLIENT_SECRET=SECRET)

    assert tokens.given == ["service"]


def test_each_command_is_the_client_with_its_scope(prepaid: CommandLine, shop: Served, tokens: TokenEndpoint) -> None:
    log_in(prepaid, shop, tokens, "service")
    refused = prepaid("grant", "acme", "--credits", "1", "--reason", "r", "--yes", exits=2)
    for name in ("admin", "storefront"):
        log_in(prepaid, shop, tokens, name)
    prepaid("grant", "acme", "--credits", "1", "--reason", "r", "--yes")
    prepaid("portal", "acme")

    assert "this needs a client with the scope prepaid/admin: run 'prepaid login --as admin'" in refused.stderr
    assert shop.service.balance()["credits"]["available"] == 11


def test_a_wrong_secret_is_told_at_the_login(prepaid: CommandLine, shop: Served, tokens: TokenEndpoint) -> None:
    urls = ("--url", shop.url, "--token-url", tokens.url)

    result = prepaid("login", *urls, "--client-id", "service", typed="wrong\n", exits=1)

    assert "refused the client: invalid_client" in result.stderr


def test_a_login_that_has_ended_is_told(prepaid: CommandLine, shop: Served) -> None:
    result = prepaid("balance", "acme", exits=1, PREPAID_URL=shop.url, PREPAID_TOKEN="expired")

    assert result.stderr == "prepaid: 401: Unauthorized (run 'prepaid login' again, or set PREPAID_TOKEN anew)\n"


@pytest.mark.parametrize("content", ["{}", "not JSON"])
def test_a_file_that_is_no_stack_is_told(prepaid: CommandLine, tmp_path: Path, content: str) -> None:
    file = tmp_path / "stack.json"
    file.write_text(content)

    assert f"{file} is not the file of a local stack" in prepaid("login", "--file", str(file), exits=2).stderr


def test_an_address_that_is_not_the_service_is_told(prepaid: CommandLine) -> None:
    with receiver() as other:
        other.answer = lambda _: Answer(404)
        result = prepaid("balance", "acme", exits=1, PREPAID_URL=other.url, PREPAID_TOKEN="x")

    assert result.stderr == "prepaid: 404: (no answer of the service: is the address its ApiUrl?)\n"


def test_a_local_stack_is_one_file(prepaid: CommandLine, shop: Served, tmp_path: Path) -> None:
    stack = {
        "api_url": shop.url,
        "aws_endpoint_url": "http://127.0.0.1:1",
        "tokens": {name: token(claims) for name, claims in CLIENTS.items()},
        "manager_code": "not for the profile",
    }
    file = tmp_path / "stack.json"
    file.write_text(json.dumps(stack))

    prepaid("login", "--file", str(file))

    assert prepaid.json("account", "show", "acme")["manager_code_set"] is False
    assert "not for the profile" not in prepaid.profile.read_text()


def test_a_profile_that_others_can_read_is_not_used(prepaid: CommandLine, shop: Served, tokens: TokenEndpoint) -> None:
    log_in(prepaid, shop, tokens, "service")
    prepaid.profile.chmod(0o640)

    result = prepaid("balance", "acme", exits=2)

    assert f"run 'chmod 600 {prepaid.profile}'" in result.stderr


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"url": 1}'])
def test_a_broken_profile_is_told(prepaid: CommandLine, content: str) -> None:
    prepaid.profile.parent.mkdir()
    prepaid.profile.touch(0o600)
    prepaid.profile.write_text(content)

    assert "is no profile: delete it" in prepaid("balance", "acme", exits=2).stderr


def test_nobody_is_logged_in_at_first(prepaid: CommandLine) -> None:
    assert "nobody is logged in: run 'prepaid login'" in prepaid("balance", "acme", exits=2).stderr


def test_the_environment_comes_before_the_profile(prepaid: CommandLine, shop: Served) -> None:
    command = ("grant", "acme", "--credits", "5", "--reason", "r", "--yes")

    prepaid(*command, PREPAID_URL=shop.url, PREPAID_TOKEN=token(CLIENTS["admin"]))

    assert shop.service.balance()["credits"]["available"] == 15
    assert "PREPAID_TOKEN_URL" in prepaid("balance", "acme", exits=2, PREPAID_URL=shop.url).stderr


def test_no_argument_is_a_secret() -> None:
    """Other users of the machine see arguments."""
    group = typer.main.get_command(app)
    groups = [group, *(command for command in group.commands.values() if hasattr(command, "commands"))]  # type: ignore[attr-defined]
    commands = [command for subgroup in groups for command in subgroup.commands.values()]

    options = {option for command in commands for parameter in command.params for option in parameter.opts}

    assert len(options) > 20
    assert {
        option for option in options if any(word in option for word in ("secret", "token", "code", "password"))
    } == {"--token-url"}
