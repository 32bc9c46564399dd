"""Balances, histories, and the other reads."""

from datetime import timedelta

from tests.oracle import requests
from tests.oracle.calendar import civil_day, time_text
from tests.oracle.catalog import Json
from tests.oracle.rows import EXPIRES_AT
from tests.simulation.actions.asking import WAITING, account_of
from tests.simulation.actions.spending import quantity_of
from tests.simulation.answers.reading import entries_shown, next_cursor
from tests.simulation.frames import ClientRequest
from tests.simulation.step import Step
from tests.simulation.world import ANYBODY, World
from tests.support.api import (
    ACCOUNTS,
    BALANCE,
    CONSUMPTION,
    FIND_CONSUMPTION,
    GET_ACCOUNT,
    GET_CATALOG,
    HISTORY,
    PACKS,
    PURCHASE,
    PURCHASES,
    PURCHASES_BY_STATE,
    QUOTE,
    USAGE,
)
from tests.support.gateway_events import ADMIN

OK = 200


def balance(world: World, step: Step) -> None:
    account, details, query = account_of(step), {}, {}
    wanted, ledger = step.get("at"), world.ledger(account)
    if wanted and ledger.number:
        number = ledger.number - step["back"] % ledger.number
        at = ledger.times[number - 1]
        if wanted == "before entry":
            at -= 1
        ends = [row[EXPIRES_AT] for state in ledger.states[number - 1 :] for row in state.lots]
        if wanted == "expiry" and ends:
            at = ends[0]
        if wanted == "some time ago":
            at = (at + world.now(step)) // 2
        details["at"], query["at"] = at, time_text(at)
    world.ask(
        step,
        ClientRequest("balance", BALANCE, account, claims=ANYBODY, query=tuple(query.items()), details=details),
    )


def quote(world: World, step: Step) -> None:
    account = account_of(step)
    body: Json = {"feature": step["feature"], "quantity": quantity_of(world, step, account)}
    request = requests.Debit(actor="service-client", **body)
    world.ask(step, ClientRequest("quote", QUOTE, account, body, claims=ANYBODY, details=body, request=request))


def find(world: World, step: Step) -> None:
    """By an entry's id, by the key of some request, or by an unused key."""
    account, how = account_of(step), step["how"]
    if how == "id":
        number = 1 + world.ledger(account).number - step["back"]
        path = (("id", f"con_{max(0, number):012d}"),)
        details = {"number": number}
        world.ask(step, ClientRequest("find", CONSUMPTION, account, claims=ANYBODY, path=path, details=details))
        return
    sent = [(request, slot[0]) for request, slot in world.requests if request.account == account]
    if how == "unanswered":
        sent = [exchange for exchange in sent if (exchange[1].status if exchange[1] else None) in WAITING]
    if not sent and how != "unknown":
        world.nothing(step)
        return
    key = "nobody's" if how == "unknown" else sent[-1 - step["back"] % len(sent)][0].key
    query = (("idempotency_key", key),)
    world.ask(step, ClientRequest("find", FIND_CONSUMPTION, account, claims=ANYBODY, query=query, details={"key": key}))


def history(world: World, step: Step) -> None:
    account = account_of(step)
    details: Json = {"limit": step["limit"]}
    query = {"limit": str(step["limit"])}
    for name in ("type", "source", "feature"):
        if step.get(name):
            details[name] = query[name] = step[name]
    ledger = world.ledger(account)
    for name in ("customer", "reference"):
        named = [line[name] for line in ledger.lines if name in line]
        if step.get(name) is not None and named:
            details[name] = query[name] = named[-1 - step[name] % len(named)]
    _add_span(world, step, details, query)
    headers = (("accept", "text/csv"),) if step["csv"] else ()
    details["csv"] = step["csv"]
    for _ in range(1 + step["pages"]):
        answer = world.ask(
            step,
            ClientRequest(
                "history",
                HISTORY,
                account,
                claims=ANYBODY,
                headers=headers,
                query=tuple(query.items()),
                details=details,
            ),
        )
        cursor, shown = next_cursor(answer), entries_shown(answer)
        if not cursor or not shown:
            return
        query, details = query | {"cursor": cursor}, details | {"below": shown[-1]}


def _add_span(world: World, step: Step, details: Json, query: Json) -> None:
    """The bounds that a step names, as instants or as civil days of the account's zone."""
    ledger = world.ledger(account_of(step))
    for name, member in (("since", "from"), ("until", "to")):
        wanted = step.get(name)
        if wanted is None or not ledger.number:
            continue
        how, back = wanted
        at = ledger.times[-1 - back % ledger.number] + (how == "after")
        if "day" in how:
            day = civil_day(at, ledger.state.terms["time_zone"]) + timedelta(days=how == "next day")
            details[name] = query[member] = day.isoformat()
        else:
            details[name], query[member] = at, time_text(at)


def usage(world: World, step: Step) -> None:
    details: Json = {"by": step["by"] or "month"}
    query: Json = {"by": step["by"]} if step["by"] else {}
    _add_span(world, step, details, query)
    request = ClientRequest(
        "usage", USAGE, account_of(step), claims=ANYBODY, query=tuple(query.items()), details=details
    )
    world.ask(step, request)


def list_purchases(world: World, step: Step) -> None:
    account = "" if step["all"] else account_of(step)
    request = ClientRequest(
        "list_purchases",
        PURCHASES_BY_STATE if step["all"] else PURCHASES,
        account,
        claims=ADMIN if step["all"] else ANYBODY,
        query=(("state", step["state"]),),
        details={"state": step["state"]},
    )
    world.ask(step, request)


def list_accounts(world: World, step: Step) -> None:
    """Page after page. details: how far each ledger had come when the page was asked for, and the id before it."""
    after, query = "", {"limit": str(step["limit"])}
    for _ in range(step["pages"]):
        known = {account: ledger.number for account, ledger in world.auditor.ledgers.items()}
        details: Json = {"known": known, "after": after, "limit": step["limit"]}
        request = ClientRequest(
            "list_accounts", ACCOUNTS, "", claims=ADMIN, query=tuple(query.items()), details=details
        )
        answer = world.ask(step, request)
        if answer is None or answer.status != OK or not answer.body["next_cursor"]:
            return
        after, query["cursor"] = answer.body["accounts"][-1]["account"], answer.body["next_cursor"]


def show(world: World, step: Step) -> None:
    what, account = step["what"], account_of(step)
    routes = {
        "account": GET_ACCOUNT,
        "packs": PACKS,
        "catalog": GET_CATALOG,
        "purchases": PURCHASES,
        "purchase": PURCHASE,
    }
    details: Json = {"what": what}
    path: Json = {}
    if what == "purchase":
        details["strangers"] = strangers = bool(step.get("strangers"))
        records = [known.record for known in world.auditor.purchases.values()]
        found = [record["id"] for record in records if (record["account"] != account) == strangers]
        if not found:
            world.nothing(step)
            return
        details["purchase"] = path["id"] = found[-1 - step["back"] % len(found)]
    about = account if "{account}" in routes[what] else ""
    world.ask(
        step, ClientRequest("show", routes[what], about, claims=ANYBODY, path=tuple(path.items()), details=details)
    )
