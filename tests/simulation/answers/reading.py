"""Answers to reads: balances, histories, and the rest."""

import csv
import io
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tests.oracle import answers, requests, rules
from tests.oracle.calendar import bound
from tests.oracle.catalog import CatalogVersion, Json
from tests.oracle.expectation import must, same
from tests.oracle.ledger import Ledger
from tests.simulation.answers.answer_check import AnswerCheck
from tests.simulation.answers.spending import check_feature
from tests.simulation.writes.auditor import since
from tests.simulation.writes.commit import KnownPurchase

if TYPE_CHECKING:
    from tests.simulation.frames import Answer

# With filters a page ends after so many entries, and whether more follows is not known by then.
READ_FOR_ONE_PAGE = 1000
# What an entry must share with a filter.
SAME = ("type", "feature", "customer", "reference")


def check_balance(it: AnswerCheck) -> None:
    if it.is_not_found():
        return
    at_millisecond = it.frame.details.get("at")
    if it.answer.status == 422:
        wrong = not at_millisecond or at_millisecond > it.frame.now or not it.ledger.number_at(at_millisecond)
        must(wrong, f"{it.about}: at {at_millisecond}")
        return
    same(it.answer.status, 200, it.about)
    if at_millisecond is not None:
        number = it.ledger.number_at(at_millisecond)
        catalog = _catalog_at(it, int(it.ledger.lines[number - 1]["catalog_version"]), at_millisecond)
        state = it.ledger.states[number - 1].at(at_millisecond)
        same(it.answer.body, answers.balance(it.account, state, catalog, number, at_millisecond), it.about)
        return
    it.is_one_of(
        (
            answers.balance(it.account, state.at(it.time_after(number)), catalog, number, it.frame.now)
            for state, number in it.states()
            for catalog in it.catalogs(number)
        ),
        it.answer.body,
    )


def check_quote(it: AnswerCheck) -> None:
    """A quote is what the debit would have done at that instant."""
    if it.is_not_found():
        return
    if it.is_refused_for_its_status():
        return
    if it.answer.status != 200:
        check_feature(it)
        return
    it.is_one_of(_quotes(it), it.answer.body)
    it.world.seen["a quote" if it.answer.body["affordable"] else "a quote of what is missing"] += 1


def _quotes(it: AnswerCheck) -> Iterator[Json]:
    request = it.frame.request
    assert isinstance(request, requests.Debit)
    for state, number in it.states():
        at = it.time_after(number)
        for catalog in it.catalogs(number):
            would = rules.quote(it.ledger, state, request, at, catalog)
            if isinstance(would, rules.Effect) or would.code == "insufficient_credits":
                yield answers.quote(it.account, it.frame.now, state.at(at), request, would)


def check_accounts(it: AnswerCheck) -> None:
    """A page has every account that was there, in order, each as it was at some time while the page was read."""
    same(it.answer.status, 200, it.about)
    details, shown, more = it.frame.details, it.answer.body["accounts"], it.answer.body["next_cursor"]
    ids = [account["account"] for account in shown]
    must(ids == sorted(set(ids)) and len(ids) <= details["limit"], f"{it.about}: {ids}")
    must(all(account > details["after"] for account in ids), f"{it.about}: {ids} after {details['after']}")
    last = ids[-1] if more else chr(0x10FFFF)
    due = {account for account in details["known"] if details["after"] < account <= last}
    must(due <= set(ids), f"{it.about}: {ids} without {due - set(ids)}")
    for account in shown:
        it.is_one_of(_listed(it, account["account"]), account)
    it.world.seen["a list of accounts"] += 1
    it.world.seen["a list's second page"] += bool(details["after"])


def _listed(it: AnswerCheck, account: str) -> Iterator[Json]:
    ledger = it.auditor.ledgers[account]
    for number in range(max(1, it.frame.details["known"].get(account, 1)), ledger.number + 1):
        state = ledger.states[number - 1].at(max(it.frame.now, ledger.times[number - 1]))
        for _, profile in since(it.auditor.profiles[account], it.frame.begun_moment):
            yield answers.listed(account, state, profile, ledger.times[number - 1])


def check_find(it: AnswerCheck) -> None:
    """A consumption is found as soon as its entry is written, and nothing else is."""
    if it.is_not_found():
        return
    details = it.frame.details
    effect = it.ledger.effects.get(details.get("key", ""))
    number = details.get("number", effect.number if effect else 0)
    found = 0 < number <= it.ledger.number and it.ledger.lines[number - 1]["type"] == "consumption"
    if it.answer.status == 200:
        must(found, f"{it.about}: nothing is stored")
        same(it.answer.body, answers.consumption(it.ledger.lines[number - 1], number), it.about)
        unheard = effect and effect.author.killed
        it.world.seen["a look-up of what nobody had heard of" if unheard else "a look-up that found"] += 1
        return
    same(it.answer.code, "consumption_not_found", it.about)
    # It may have been written after this request had looked.
    must(not found or number > it.frame.first_number, f"{it.about}: entry {number} is there")
    other = effect and "a look-up of another kind of request"
    it.world.seen[other or "a look-up that found nothing"] += 1


def _catalog_at(it: AnswerCheck, version: int, at: int) -> CatalogVersion:
    """What was in force then, or the version that the account had been changed under."""
    catalogs = it.auditor.catalogs
    while version + 1 in catalogs and catalogs[version + 1].since <= at:
        version += 1
    return catalogs[version]


def check_history(it: AnswerCheck) -> None:
    if it.is_not_found():
        return
    same(it.answer.status, 200, it.about)
    details, found = it.frame.details, entries_shown(it.answer)
    entries = [answers.entry(it.ledger.lines[number - 1], number) for number in found]
    if details["csv"]:
        same(it.answer.body, answers.csv_text(entries, next_cursor(it.answer)), it.about)
        it.world.seen["a history as CSV"] += 1
    else:
        same(it.answer.body["entries"], entries, it.about)
    below = details.get("below", it.ledger.number + 1)
    it.world.seen["a history's second page"] += "below" in details
    for name in ("customer", "reference"):
        it.world.seen[f"a history of a {name}"] += name in details
    it.world.seen["a history of civil days"] += any(isinstance(details.get(name), str) for name in ("since", "until"))
    # Other requests may have written while this one read. A day's bounds are those of the zone that it met.
    newest = range(it.ledger.number, max(1, it.frame.first_number) - 1, -1)
    possible = [
        [
            number
            for number in range(last, 0, -1)
            if number < below and _is_listed(it.ledger, number, details, _zone(it.ledger, last))
        ]
        for last in newest
    ]
    _check_page(it, found, possible)


def _check_page(it: AnswerCheck, found: list[int], possible: list[list[int]]) -> None:
    """Require the first page of one of these, and a cursor if that isn't all."""
    limit, cursor = it.frame.details["limit"], next_cursor(it.answer)
    fitting = [whole for whole in possible if whole[:limit] == found]
    must(fitting, f"{it.about}: {it.frame.details}\n  is        {found}\n  should be {possible[0][:limit]}")
    must(cursor or len(fitting[-1]) <= limit, f"{it.about}: {it.frame.details}: no cursor, and more to show")
    within_one_page = it.ledger.number <= READ_FOR_ONE_PAGE
    must(
        not cursor or len(fitting[0]) > limit or not within_one_page, f"{it.about}: {it.frame.details}: nothing follows"
    )


def _zone(ledger: Ledger, last: int) -> str:
    return str(ledger.states[last - 1].terms["time_zone"])


def _is_within(line: Json, details: Json, zone: str) -> bool:
    """Whether an entry lies in the span that a request names, if it names any."""
    since_, until = details.get("since"), details.get("until")
    return (since_ is None or bound(since_, zone) <= line["at"]) and (until is None or line["at"] < bound(until, zone))


def _is_listed(ledger: Ledger, number: int, expected: Json, zone: str) -> bool:
    line = ledger.lines[number - 1]
    if any(name in expected and line.get(name) != expected[name] for name in SAME):
        return False
    if not _is_within(line, expected, zone):
        return False
    return "source" not in expected or answers.source(line) in {expected["source"], "both"}


def check_usage(it: AnswerCheck) -> None:
    """Each period and the totals are added up again, from the entries of the span."""
    if it.is_not_found():
        return
    same(it.answer.status, 200, it.about)
    body, details = it.answer.body, it.frame.details
    it.is_one_of(_usages(it), body)
    it.world.seen[f"use by {details['by']}"] += bool(body["periods"])
    it.world.seen["use in several periods"] += len(body["periods"]) > 1
    it.world.seen["use in a part of the ledger"] += bool(body["periods"]) and ("since" in details or "until" in details)


def _usages(it: AnswerCheck) -> Iterator[Json]:
    details = it.frame.details
    for _, last in it.states():
        zone = _zone(it.ledger, last)
        lines = [line for line in it.ledger.lines[:last] if _is_within(line, details, zone)]
        yield answers.usage(it.account, zone, details["by"], lines)


def check_purchases(it: AnswerCheck) -> None:
    """Purchases in a state. Over all accounts, an index says which they are, and then each is read as it is now."""
    if it.is_not_found():
        return
    same(it.answer.status, 200, it.about)
    state, begun = it.frame.details["state"], it.frame.begun_moment
    found = [known for known in it.auditor.purchases.values() if it.account in {"", known.record["account"]}]
    moments = sorted({begun, *(at for known in found for at, _ in known.shown if at > begun)})
    it.is_one_of(_listed_purchases(found, state, moments, of_all=not it.account), it.answer.body)
    whose = "an account" if it.account else "all accounts"
    it.world.seen[f"purchases by state of {whose}"] += bool(it.answer.body["purchases"])


def _listed_purchases(found: list[KnownPurchase], state: str, moments: list[int], *, of_all: bool) -> Iterator[Json]:
    for place, moment in enumerate(moments):
        for later in moments[place:] if of_all else (moment,):
            shown = {}
            for known in found:
                if known.shown[0][0] > moment or _at(known, moment)["state"] != state:
                    continue
                now = _at(known, later)
                if now["state"] == state:
                    shown[now["id"]] = now | ({"account": known.record["account"]} if of_all else {})
            yield answers.purchases(shown)


def _at(known: KnownPurchase, moment: int) -> Json:
    return since(known.shown, moment)[0][1]


def entries_shown(answer: "Answer | None") -> list[int]:
    """The numbers of a history's entries, JSON or CSV."""
    if answer is None or answer.status != 200:
        return []
    if isinstance(answer.body, str):
        numbers = [line["entry"] for line in csv.DictReader(io.StringIO(answer.body.removeprefix("\ufeff")))]
        return [int(number) for number in numbers if not number.startswith(answers.NOT_COMPLETE)]
    return [entry["entry"] for entry in answer.body["entries"]]


def next_cursor(answer: "Answer | None") -> str | None:
    """Where a history continues, if it does."""
    if answer is None or answer.status != 200:
        return None
    found = answer.headers.get("next-cursor") if isinstance(answer.body, str) else answer.body["next_cursor"]
    return found or None


def check_show(it: AnswerCheck) -> None:
    what = it.frame.details["what"]
    if it.answer.status == 404:
        strangers = what == "purchase" and it.answer.code == "purchase_not_found" and it.frame.details["strangers"]
        must(strangers or not it.frame.first_number, f"{it.about} to {what}: it was there")
        it.world.seen["a stranger's purchase"] += bool(strangers)
        return
    same(it.answer.status, 200, it.about)
    it.is_one_of(SHOWN[what](it), it.answer.body)
    if what == "catalog":
        same(it.answer.headers["etag"], f'"{it.answer.body["version"]}"', f"{it.about}: its ETag")


def _account_shown(it: AnswerCheck) -> Iterator[Json]:
    # Terms and profile are read one after the other.
    for _, profile in since(it.auditor.profiles[it.account], it.frame.begun_moment):
        for state, _ in it.states():
            yield answers.account(it.account, state.terms, profile)


def _packs_shown(it: AnswerCheck) -> Iterator[Json]:
    for version in it.auditor.usable_versions(it.frame):
        yield answers.packs(it.auditor.catalogs[version])


def _catalog_shown(it: AnswerCheck) -> Iterator[Json]:
    for _, version in since(it.auditor.in_force, it.frame.begun_moment):
        yield answers.catalog(it.auditor.catalogs[version])


def _purchases_shown(it: AnswerCheck) -> Iterator[Json]:
    """All values at one instant: when the request began, or when one of them changed since."""
    own = [known for known in it.auditor.purchases.values() if known.record["account"] == it.account]
    begun = it.frame.begun_moment
    for moment in sorted({begun, *(at for known in own for at, _ in known.shown if at > begun)}):
        shown = [since(known.shown, moment)[0][1] for known in own if known.shown[0][0] <= moment]
        yield answers.purchases({purchase["id"]: purchase for purchase in shown})


def _purchase_shown(it: AnswerCheck) -> Iterator[Json]:
    must(not it.frame.details["strangers"], f"{it.about}: a stranger's purchase")
    for _, shown in since(it.auditor.purchases[it.frame.details["purchase"]].shown, it.frame.begun_moment):
        yield shown


SHOWN = {
    "account": _account_shown,
    "packs": _packs_shown,
    "catalog": _catalog_shown,
    "purchases": _purchases_shown,
    "purchase": _purchase_shown,
}
