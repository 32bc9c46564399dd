"""The commands of `prepaid`."""

import os
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import msgspec
import segno
import typer

from prepaid_client import Balance, Entry, NotFound, Statement
from prepaid_client.calls import AccountChanges, HistoryFilters
from prepaid_client.cli import jobs
from prepaid_client.cli.events import events_app
from prepaid_client.cli.printing import print_facts, print_json, print_table, shown
from prepaid_client.cli.profile import Login, Profile, ProfileError, read_profile, write_profile
from prepaid_client.cli.running import REFUSED, AccountId, AsJson, reporting, say, service

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Prepaid on the command line. Exit codes: 0 done, 1 refused or something found, 2 failed.",
)
account_app = typer.Typer(no_args_is_help=True, help="Accounts and their terms.")
app.add_typer(account_app, name="account")
app.add_typer(events_app, name="events")

LONGEST_PAGE = 100
ENTRY_COLUMNS = ("entry", "at", "type", "feature", "units", "credits", "quota", "balance", "customer", "reference")
CLIENTS = ("service", "storefront", "admin")
StackName = Annotated[str, typer.Option("--stack", help="The CloudFormation stack.")]


class StackFile(msgspec.Struct):
    """The fields of .local/stack.json, which `make run` writes, that are used here."""

    api_url: str
    tokens: dict[str, str]
    aws_endpoint_url: str


@app.command()
def login(
    as_: Annotated[str, typer.Option("--as", help="Which client: service, storefront or admin.")] = "service",
    url: Annotated[str | None, typer.Option(help="The stack's output ApiUrl.")] = None,
    token_url: Annotated[str | None, typer.Option(help="The stack's output TokenUrl.")] = None,
    client_id: Annotated[str | None, typer.Option(help="The client's id, another output.")] = None,
    file: Annotated[Path | None, typer.Option(help="The file of a local stack: .local/stack.json.")] = None,
    as_json: AsJson = False,
) -> None:
    """Store the credentials of a client. Run it once for each client that you use.

    The command prompts for the secret, or reads it from PREPAID_CLIENT_SECRET. Other users could see an argument.
    """
    with reporting(as_json):
        if as_ not in CLIENTS:
            raise ValueError(f"--as is one of {', '.join(CLIENTS)}")
        profile = _local(file) if file else _prompted_login(as_, url, token_url, client_id)
        path = write_profile(profile)
        if as_json:
            print_json({"url": profile.url, "clients": list(profile.clients), "stored_in": str(path)})
        else:
            print_facts(("logged in at", profile.url), ("as", ", ".join(profile.clients)), ("stored in", path))
    with service("read", as_json) as client:
        # If this fails, the login is stored anyway: the service may only be down.
        client.list_packs()


def _local(file: Path) -> Profile:
    try:
        stack = msgspec.json.decode(file.read_bytes(), type=StackFile)
    except msgspec.MsgspecError as error:
        raise ProfileError(f"{file} is not the file of a local stack: {error}") from error
    logins = {name: Login(token=token) for name, token in stack.tokens.items()}
    return Profile(url=stack.api_url, clients=logins, aws_endpoint_url=stack.aws_endpoint_url)


def _prompted_login(name: str, url: str | None, token_url: str | None, client_id: str | None) -> Profile:
    """The stored profile with the client added; the options that are missing are prompted for. A new address starts a
    new profile."""
    stored = read_profile()
    stored_login = stored.clients[name] if stored and name in stored.clients else Login()
    url = url or typer.prompt("ApiUrl", default=stored.url if stored else None, err=True)
    new_login = Login(
        token_url=token_url or typer.prompt("TokenUrl", default=stored_login.token_url, err=True),
        client_id=client_id or typer.prompt("client id", default=stored_login.client_id, err=True),
        client_secret=os.environ.get("PREPAID_CLIENT_SECRET")
        or typer.prompt("client secret", hide_input=True, err=True),
    )
    profile = stored if stored and stored.url == url else Profile(url=str(url))
    return replace(profile, clients={**profile.clients, name: new_login})


@account_app.command("show")
def show_account(account: AccountId, as_json: AsJson = False) -> None:
    """Show the terms of an account."""
    with service("read", as_json) as client:
        terms = client.account(account).get_account()
    _print(terms, as_json=as_json)


@account_app.command("list")
def list_accounts(as_json: AsJson = False) -> None:
    """List all accounts."""
    with service("admin", as_json) as client:
        accounts = list(client.accounts())
    if as_json:
        print_json(accounts)
        return
    rows = [
        (listed.account, listed.name, listed.plan, listed.status, listed.available, listed.held, listed.owed)
        for listed in accounts
    ]
    print_table(rows, "account", "name", "plan", "status", "available", "held", "owed")


@account_app.command("put")
def put_account(
    account: AccountId,
    name: Annotated[str | None, typer.Option(help="The customer's name. A new account needs one.")] = None,
    plan: Annotated[str | None, typer.Option(help="A plan of the catalog; default of a new account: none.")] = None,
    ai: Annotated[bool | None, typer.Option("--ai/--no-ai", help="Whether the plan's quotas count.")] = None,
    as_json: AsJson = False,
) -> None:
    """Open an account, or change the named fields of an existing one."""
    changes = AccountChanges()
    if name is not None:
        changes["name"] = name
    if plan is not None:
        changes["plan"] = plan
    if ai is not None:
        changes["ai_enabled"] = ai
    with service("admin", as_json) as client:
        account_client = client.account(account)
        try:
            terms = account_client.patch_account(**changes) if changes else account_client.get_account()
        except NotFound as error:
            if name is None:
                say(f"{error} A new account needs --name.", error.problem, as_json=as_json)
                raise typer.Exit(REFUSED) from error
            terms = account_client.put_account(name=name, plan=plan or "none", ai_enabled=bool(ai))
    _print(terms, as_json=as_json)


@account_app.command("code")
def set_code(account: AccountId, as_json: AsJson = False) -> None:
    """Set the manager's code. The command prompts for it."""
    code = typer.prompt("new code (6 digits)", hide_input=True, confirmation_prompt=True, err=True)
    with service("admin", as_json) as client:
        client.account(account).put_manager_code(code)
    if as_json:
        print_json({"account": account, "manager_code_set": True})
    else:
        typer.echo(f"The code of {account} is set.")


@app.command()
def balance(
    account: AccountId,
    at: Annotated[str | None, typer.Option(help="An earlier time, such as 2026-11-26T12:00:00Z.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show the credits and quotas of an account."""
    with service("read", as_json) as client:
        account_balance = client.account(account).get_balance(at=at)
    if as_json:
        print_json(account_balance)
    else:
        _print_balance(account_balance)


@app.command()
def history(  # noqa: PLR0917 - each argument is an option of the command
    account: AccountId,
    type_: Annotated[str | None, typer.Option("--type", help="Only entries of this type.")] = None,
    feature: Annotated[str | None, typer.Option(help="Only entries of this feature.")] = None,
    customer: Annotated[str | None, typer.Option(help="Only entries of this customer.")] = None,
    reference: Annotated[str | None, typer.Option(help="Only entries with this reference.")] = None,
    from_: Annotated[str | None, typer.Option("--from", help="The first day or time, such as 2026-11-01.")] = None,
    to: Annotated[str | None, typer.Option(help="The day or time before which the list ends.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="The most entries to show.")] = 50,
    csv: Annotated[bool, typer.Option("--csv", help="Print the whole history as CSV.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the newest entries of an account."""
    chosen = {
        "type": type_,
        "feature": feature,
        "customer": customer,
        "reference": reference,
        "from_": from_,
        "to": to,
    }
    filters = cast("HistoryFilters", {name: value for name, value in chosen.items() if value is not None})
    with service("read", as_json) as client:
        account_client = client.account(account)
        if csv:
            _print_text(account_client.get_history_csv(**filters))
            return
        filters["limit"] = min(limit, LONGEST_PAGE)
        entries = list(islice(account_client.history(**filters), limit))
    if as_json:
        print_json(entries)
    else:
        print_table(map(_entry_row, entries), *ENTRY_COLUMNS)


@app.command()
def statement(
    account: AccountId,
    month: Annotated[str, typer.Argument(help="Such as 2026-11.")],
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the statement of a month."""
    with service("read", as_json) as client:
        if csv:
            _print_text(client.account(account).get_statement_csv(month))
            return
        month_statement = client.account(account).get_statement(month)
    if as_json:
        print_json(month_statement)
    else:
        _print_statement(month_statement)


@app.command()
def purchases(
    account: AccountId,
    state: Annotated[str | None, typer.Option(help="Only purchases in this state.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the purchases of an account."""
    with service("read", as_json) as client:
        listed = list(client.account(account).purchases(state=state))
    if as_json:
        print_json(listed)
        return
    rows = [
        (
            purchase.id,
            purchase.created_at,
            purchase.pack,
            purchase.credits,
            purchase.state,
            purchase.amount,
            purchase.currency,
        )
        for purchase in listed
    ]
    print_table(rows, "purchase", "at", "pack", "credits", "state", "minor units", "currency")


@app.command()
def grant(
    account: AccountId,
    credits_: Annotated[int, typer.Option("--credits", min=1, help="The number of credits.")],
    reason: Annotated[str, typer.Option(help="The reason, which the history shows.")],
    kind: Annotated[str, typer.Option(help="promotion or adjustment.")] = "promotion",
    valid_months: Annotated[int | None, typer.Option(help="For how many months the credits are valid.")] = None,
    key: Annotated[
        str | None,
        typer.Option(help="The idempotency key. Send the same key to retry a grant whose outcome is unknown."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Grant credits to an account, after a confirmation."""
    with service("admin", as_json) as client:
        account_client = client.account(account)
        if not yes:
            available = account_client.get_balance().credits.available
            typer.confirm(f"Grant {credits_} credits to {account}, which has {available}?", abort=True, err=True)
        granted = account_client.grant_credits(
            credits_, kind=kind, reason=reason, valid_months=valid_months, key=key or f"cli:{uuid.uuid4()}"
        )
    _print(granted, as_json=as_json)


@app.command()
def portal(
    account: AccountId,
    language: Annotated[str | None, typer.Option(help="pt-BR, en or es.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a link to an account's subscription page, also as a QR code. It works once, within ten minutes."""
    with service("buy", as_json) as client:
        session = client.account(account).create_portal_session(key=f"cli:{uuid.uuid4()}", language=language)
    if as_json:
        print_json(session)
        return
    print_facts(("link", session.url), ("until", session.expires_at))
    segno.make(session.url, error="l").terminal(compact=True)


@app.command()
def verify(stack: StackName = "prepaid", as_json: AsJson = False) -> None:
    """Run the stack's verifier until its pass ends. Needs AWS credentials.

    It continues the stack's own pass, which begins once a day. Within a day of the last pass there is nothing to check.
    """
    with reporting(as_json):
        total = jobs.run_until_finished(stack, "VerifyFunction", "verifying")
    _print_total(total, ("read", "found"), jobs.about_verification, as_json)
    if total["found"]:
        raise typer.Exit(REFUSED)


@app.command()
def reconcile(stack: StackName = "prepaid", as_json: AsJson = False) -> None:
    """Compare the stack's purchases with Stripe. Needs AWS credentials."""
    with reporting(as_json):
        total = jobs.run_until_finished(stack, "ReconcileFunction", "reconciling")
    _print_total(total, ("healed", "quarantined", "failed", "waiting"), jobs.about_reconciliation, as_json)
    if total.get("failed"):
        raise typer.Exit(REFUSED)


def _print_total(
    total: Mapping[str, Any], counts: Iterable[str], about: Callable[[Mapping[str, Any]], str], as_json: bool
) -> None:
    """Print the counts, and a sentence that explains them: a zero alone doesn't say whether there was work to do."""
    if as_json:
        print_json(total)
        return
    if facts := [(name, total[name]) for name in counts if name in total]:
        print_facts(*facts)
    typer.echo(about(total))


def _print(answer: "DataclassInstance", *, as_json: bool) -> None:
    """Print an answer's plain members; as JSON, all of them."""
    if as_json:
        print_json(answer)
        return
    members = ((member.name, getattr(answer, member.name)) for member in fields(answer))
    print_facts(*((name, value) for name, value in members if not is_dataclass(value)))


def _print_text(text: str) -> None:
    """Print a file exactly as the service sent it."""
    typer.echo(text, nl=False)


def _print_balance(balance: Balance) -> None:
    credits = balance.credits
    print_facts(
        ("account", balance.account),
        ("status", balance.status),
        ("as of", balance.as_of),
        ("available", credits.available),
        ("held", credits.held),
        ("owed", credits.owed),
        ("next expiry", credits.next_expiry_at),
    )
    if credits.lots:
        rows = [(lot.lot, lot.kind, lot.granted, lot.remaining, lot.expires_at) for lot in credits.lots]
        print_table(rows, "lot", "kind", "granted", "remaining", "expires")
    if balance.quotas:
        quotas = [
            (quota.feature, quota.limit, quota.used, quota.remaining, quota.renews_at) for quota in balance.quotas
        ]
        print_table(quotas, "quota", "limit", "used", "remaining", "renews")
    features = [
        (name, feature.price, feature.can_use, feature.units_left) for name, feature in balance.features.items()
    ]
    print_table(features, "feature", "price", "can use", "units left")


def _entry_row(entry: Entry) -> tuple[object, ...]:
    return (
        entry.entry,
        entry.at,
        entry.type,
        entry.feature,
        entry.quantity,
        entry.credits,
        entry.quota,
        entry.balance_after,
        entry.customer,
        entry.reference,
    )


def _print_statement(statement: Statement) -> None:
    closed = "closed" if statement.closed else f"until {shown(statement.as_of)}"
    print_facts(
        ("account", statement.account), ("month", f"{statement.month} ({closed})"), ("entries", statement.entries)
    )
    movements = [(member.name, getattr(statement.credits, member.name)) for member in fields(statement.credits)]
    print_table([row for row in movements if row[1] or row[0] in {"opening", "closing"}], "movement", "credits")
    if statement.uses:
        uses = [(use.feature, use.units, use.quota_units, use.credits) for use in statement.uses]
        print_table(uses, "feature", "units", "of the quota", "credits")
