"""Sees every write as it is committed, knows who made it, and holds it against what that one may and must write.

What Stripe says is read from the fake's own objects, never through the service.
"""

import json
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, field
from importlib.resources import files
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from tests.simulation.bodies import purchase_body
from tests.simulation.books import (
    EXPIRES_AT,
    GIFTS,
    MONEY,
    NUMBER,
    REMAINING,
    Book,
    Bought,
    Effect,
    Goods,
    Json,
    State,
    must,
    same,
)

if TYPE_CHECKING:
    from tests.simulation.world import Frame, World

type Change = tuple[tuple[str, str], Json | None, Json | None]

# What a function may write: the first word of an item's key.
MAY_WRITE = {
    "debit": {"ENTRY", "CLAIM"},
    "grant": {"ENTRY", "CLAIM", "DUE"},
    "put_account": {"ENTRY", "PROFILE"},
    "catalog": {"CATALOG"},
    "code": {"MANAGER"},
    "unlock": {"MANAGER", "SESSION", "CLAIM"},
    "buy": {"PURCHASE", "CLAIM", "SESSION", "PENDING_CHECK", "CUSTOMER"},
    "deliver": {"ENTRY", "PURCHASE", "PAYMENT", "DUE", "QUARANTINE", "PENDING_CHECK"},
    "reconcile": {"ENTRY", "PURCHASE", "PAYMENT", "DUE", "QUARANTINE", "RECONCILIATION", "PENDING_CHECK"},
    "sweep": {"ENTRY", "DUE", "SWEEP"},
}
SETTLING = {"expiry", "quota_renewal"}
MAY_ENTER = {
    "debit": {"consumption"},
    "grant": {"grant", "adjustment"},
    "put_account": {"plan_change"},
    "deliver": {"purchase", "refund", "dispute"},
    "reconcile": {"purchase", "refund", "dispute"},
    "sweep": set[str](),
}
MAX_TRIES = 5
LOCKS = (60_000, 300_000, 900_000, 3_600_000, 14_400_000)
LOST_DISPUTES = {"needs_response", "under_review", "lost"}
VOID_REFUNDS = {"failed", "canceled"}
FIXED = ("id", "account", "pack", "credits", "amount", "currency", "valid_months", "live", "created_at", "language")


@dataclass
class Deal:
    """A purchase's record as it was last written. shown: what asking for it gives, since when by the true time."""

    record: Json
    shown: list[tuple[int, Json]] = field(default_factory=list)
    granted: bool = False


@dataclass
class Manager:
    """An account's code: the six digits themselves, and the record's counts."""

    code: str
    version: int
    revision: int
    tries: int
    locks: int
    tried_at: int


@dataclass
class Pass:
    """A manager's session, by its token."""

    account: str
    version: int
    expires_at: int
    purchase: str = ""


def first_goods() -> Goods:
    return Goods.of(json.loads(files("prepaid.core").joinpath("first_catalog.json").read_text("utf-8")), 0)


class Auditor:
    """What is in the table, as far as promises are about it. seen: how often what was worth seeing was seen."""

    def __init__(self, world: "World", seen: Counter[str]) -> None:
        self.world, self.seen = world, seen
        self.books: dict[str, Book] = {}
        self.goods: dict[int, Goods] = {1: first_goods()}
        # When a version came into force, by the true time.
        self.in_force: list[tuple[int, int]] = [(0, 1)]
        self.deals: dict[str, Deal] = {}
        # Since when by the true time, for each account.
        self.profiles: dict[str, list[tuple[int, Json]]] = {}
        self.managers: dict[str, Manager] = {}
        self.passes: dict[str, Pass] = {}
        self.due: set[tuple[str, int]] = set()
        self.payments: dict[str, str] = {}
        # Truths of Stripe's about a payment: [(step of time, refunded, disputed)].
        self.truths: dict[str, list[tuple[int, int, int]]] = {}

    def commit(self, frame: "Frame", changes: list[Change]) -> None:
        """What one request just wrote, all or nothing."""
        words: dict[str, list[Change]] = {}
        for change in changes:
            (partition, sort), _, _ = change
            word = (sort if partition.startswith("ACCOUNT#") else partition).partition("#")[0]
            words.setdefault(word, []).append(change)
        kind = frame.step.kind
        must(words.keys() <= MAY_WRITE.get(kind, set()), f"{kind} writes {sorted(words)}")
        entries = sorted(words.pop("ENTRY", []), key=lambda change: change[0][1])
        lines = self._entries(frame, entries, words) if entries else []
        for word, written in words.items():
            for change in written:
                getattr(self, f"_{word.lower()}")(frame, change, lines, words)

    def _entries(self, frame: "Frame", entries: list[Change], words: dict[str, list[Change]]) -> list[Json]:
        [account] = {partition.removeprefix("ACCOUNT#") for (partition, _), _, _ in entries}
        kind = frame.step.kind
        must(frame.account in {None, account}, f"{kind} for {frame.account} writes to {account}")
        book = self.books.setdefault(account, Book(account))
        lines = []
        for change in entries:
            (_, sort), old, new = change
            must(old is None and new is not None, f"{account}: {sort} is written over")
            assert new is not None
            before = book.state if book.number else None
            line = book.accept(new, frame.now, self.goods, self._asked(frame, words, book), frame.key or "")
            lines.append(line)
            frame.entries.append((account, book.number))
            self._note(frame, book, line, before)
        *first, last = lines
        # A plan that is the account's already leaves only what time has done.
        alone = kind == "sweep" or (kind == "put_account" and frame.asked["terms"] == book.state.terms)
        must({line["type"] for line in first} <= SETTLING, f"{kind} writes {[line['type'] for line in lines]}")
        must(last["type"] in (MAY_ENTER[kind] | SETTLING if alone else MAY_ENTER[kind]), f"{kind}: {last['type']}")
        must(len({line["at"] for line in lines}) == 1, f"{account}: one request, one instant")
        self._complete(frame, book, last, words)
        return lines

    def _asked(self, frame: "Frame", words: dict[str, list[Change]], book: Book) -> Json:
        """What the author of an entry alone can know: what it was asked for, or the record that the entry goes with."""
        if frame.step.kind not in {"deliver", "reconcile"}:
            return frame.asked
        must(len(words.get("PURCHASE", [])) == 1, "credits move for money together with their purchase")
        [(_, old, new)] = words["PURCHASE"]
        assert old is not None
        assert new is not None
        credits, months = int(old["credits"]["N"]), int(old["valid_months"]["N"])
        book.bought.setdefault(old["id"]["S"], Bought(credits, months))
        return {
            "credits": credits,
            "months": months,
            "description": old["pack"]["S"],
            "purchase": old["id"]["S"],
            "revoked": int(new["revoked"]["N"]),
        }

    def _complete(self, frame: "Frame", book: Book, last: Json, words: dict[str, list[Change]]) -> None:
        """What must travel with an entry in its transaction."""
        if "lot" in last:
            lot = last["lot"][NUMBER]
            named = {(new or {})["lot"]["S"] for _, _, new in words.get("DUE", [])}
            must(f"lot_{lot:012d}" in named, f"{book.account}: lot {lot} is not on the sweep's list")
        if frame.step.kind in {"debit", "grant"}:
            same(len(words.get("CLAIM", [])), 1, f"{book.account}: claims with entry {book.number}")
        if last["type"] == "purchase":
            same(len(words.get("PAYMENT", [])), 1, f"{book.account}: payments with entry {book.number}")
        if book.number == 1:
            must("PROFILE" in words, f"{book.account}: opened without a profile")

    def _claim(self, frame: "Frame", change: Change, lines: list[Json], words: dict[str, list[Change]]) -> None:
        (partition, _), old, new = change
        must(old is None and new is not None, f"{partition} is written over")
        assert new is not None
        same(partition, f"CLAIM#{frame.account}#{frame.key}", "whose claim it is")
        book = self.books[frame.account or ""]
        effect = Effect(frame.signature, frame)
        if "purchase" in new:
            effect.purchase = new["purchase"]["S"]
            must("PURCHASE" in words, f"{partition} claims no purchase")
        elif "number" in new:
            effect.number = int(new["number"]["N"])
            same(effect.number, book.number, f"{partition}: the entry it names")
            for name, value in frame.claims_to_say.items():
                same(lines[-1].get(name), value, f"{partition}: {name} of its entry")
        else:
            must("SESSION" in words, f"{partition} claims nothing")
        must(frame.key not in book.effects, f"{partition}: a second effect")
        book.effects[frame.key or ""] = effect

    def _due(self, frame: "Frame", change: Change, lines: list[Json], words: dict[str, list[Change]]) -> None:
        (partition, sort), _, new = change
        account, _, lot = sort.rpartition("#lot_")
        place = (account, int(lot))
        book = self.books[account]
        if new is None:
            live = {row[NUMBER] for row in book.state.lots}
            must(book.ends[place[1]] <= frame.now, f"{sort} leaves the sweep's list before its end")
            must(place[1] not in live, f"{sort} leaves the sweep's list before its end is recorded")
            self.due.discard(place)
            return
        must(place not in self.due, f"{sort} is on the list twice")
        row = lines[-1]["lot"]
        same(row[NUMBER], place[1], f"{sort}: its lot")
        same(int(new["expires_at"]["N"]), row[EXPIRES_AT], f"{sort}: its end")
        day = self.world.day(row[EXPIRES_AT])
        must(partition.startswith(f"DUE#{day}#"), f"{sort}: due on {partition}, ends on {day}")
        self.due.add(place)

    # Purchases

    def _purchase(self, frame: "Frame", change: Change, lines: list[Json], words: dict[str, list[Change]]) -> None:
        _, old, new = change
        assert new is not None
        record = plain(new)
        if old is None:
            self._begun(frame, record, words)
            return
        deal, before = self.deals[record["id"]], plain(old)
        same(record["version"], before["version"] + 1, f"{record['id']}: version")
        for name in FIXED:
            same(record[name], before[name], f"{record['id']}: {name}")
        must(before.get("session") in {None, record.get("session")}, f"{record['id']}: another session")
        types = [line["type"] for line in lines if line.get("purchase") == record["id"]]
        if frame.step.kind == "buy":
            same((types, record["state"] == before["state"] or before["state"] == "created"), ([], True), "a page")
        granted = "purchase" in types
        must(not (granted and deal.granted), f"{record['id']}: granted twice")
        deal.granted = deal.granted or granted
        if granted:
            self._paid(frame, record)
        money = (record["refunded"], record["disputed"])
        if money != (before["refunded"], before["disputed"]):
            must(deal.granted, f"{record['id']}: money goes back before it came")
            self._truth_of(frame, record, money)
        back = min(sum(money), record["amount"])
        same(record["revoked"], record["credits"] * back // record["amount"], f"{record['id']}: revoked for {back}")
        moved = record["revoked"] != before["revoked"]
        same(any(kind in MONEY for kind in types), moved, f"{record['id']}: a line for what is revoked")
        if deal.granted and not granted:
            same(record["state"], state_of(record), f"{record['id']}: its state")
        if "paid" in record["state"]:
            self.seen["purchase waits for a person"] += 1
        self._book_agrees(record)
        deal.record = record
        self._show(deal, frame)

    def _begun(self, frame: "Frame", record: Json, words: dict[str, list[Change]]) -> None:
        same(frame.step.kind, "buy", "who begins a purchase")
        same(set(words), {"PURCHASE", "CLAIM", "SESSION", "PENDING_CHECK"}, "what begins a purchase")
        same((record["account"], record["version"]), (frame.account, 1), "a purchase at its beginning")
        packs = [self.goods[version].packs.get(record["pack"]) for version in self.recent(frame)]
        agreed = [(pack["credits"], pack["amount"], pack["currency"], pack["valid_months"]) for pack in packs if pack]
        found = (record["credits"], record["amount"], record["currency"], record["valid_months"])
        must(found in agreed, f"{record['id']}: {found} was agreed, {agreed} is sold")
        must(record["id"] not in self.deals, f"{record['id']} twice")
        self.deals[record["id"]] = deal = Deal(record)
        self._show(deal, frame)

    def _show(self, deal: Deal, frame: "Frame") -> None:
        """Keep what its owner will be told of a purchase: its lots are the ledger's."""
        book = self.books[deal.record["account"]]
        lots = [book.row_of(lot) for lot in book.bought[deal.record["id"]].lots] if deal.granted else []
        deal.shown.append((self.world.moment, purchase_body(deal.record, lots)))

    def _paid(self, frame: "Frame", record: Json) -> None:
        """Credits only for money that has come, of the session that was made for this purchase."""
        session = self.world.stripe.tables["checkout.session"][record["session"]]
        same(session["payment_status"], "paid", f"{record['id']} is granted; Stripe's session")
        same(session["payment_intent"], record["payment"], f"{record['id']}: its payment")
        same(session["metadata"]["prepaid_purchase"], record["id"], "whose session it is")

    def _truth_of(self, frame: "Frame", record: Json, money: tuple[int, int]) -> None:
        """What is written about money was Stripe's word at some time of this very request."""
        truths = self.truths.get(record["payment"], [])
        times = [time for time, _, _ in truths]
        since = truths[max(0, bisect_right(times, frame.begun_moment) - 1) :]
        amount = record["amount"]
        refunds = {min(refunded, amount) for _, refunded, _ in since}
        disputes = {min(disputed, amount) for _, _, disputed in since}
        must(money[0] in refunds and money[1] in disputes, f"{record['id']}: {money} went back, Stripe said {since}")

    def _book_agrees(self, record: Json) -> None:
        bought = self.books[record["account"]].bought.get(record["id"])
        if bought:
            same(record["revoked"], bought.revoked, f"{record['id']}: revoked, in the ledger")
            same(record["debt"], bought.debt, f"{record['id']}: became owed, in the ledger")
            if "lapsed" in record:
                same(record["lapsed"], bought.lapsed, f"{record['id']}: had expired, in the ledger")

    def _payment(self, frame: "Frame", change: Change, lines: list[Json], words: dict[str, list[Change]]) -> None:
        (partition, _), old, new = change
        must(old is None and new is not None, f"{partition} pays twice")
        assert new is not None
        same(lines[-1].get("purchase"), new["purchase"]["S"], f"{partition}: what it paid for")
        self.payments[partition.removeprefix("PAYMENT#")] = new["purchase"]["S"]

    def _customer(self, frame: "Frame", change: Change, lines: list[Json], words: dict[str, list[Change]]) -> None:
        _, old, new = change
        must(old is None and new is not None, "a customer is replaced")

    def _quarantine(self, frame: "Frame", change: Change, lines: list[Json], words: dict[str, list[Change]]) -> None:
        must(False, f"{change[0][1]}: put aside, though all money here fits its record")

    # The rest

    def _profile(self, frame: "Frame", change: Change, lines: list[Json], words: dict[str, list[Change]]) -> None:
        _, old, new = change
        assert new is not None
        record = plain(new)
        before = plain(old)["version"] if old else 0
        same(record["version"], before + 1, f"{frame.account}: version of its profile")
        for name, value in frame.asked["profile"].items():
            same(record.get(name), value, f"{frame.account}: {name} of its profile")
        self.profiles.setdefault(frame.account or "", []).append((self.world.moment, record))

    def _catalog(self, frame: "Frame", change: Change, lines: list[Json], words: dict[str, list[Change]]) -> None:
        (_, sort), old, new = change
        assert new is not None
        body = json.loads(new["body"]["S"])
        if sort == "CURRENT":
            newest = self.in_force[-1][1]
            same(body["version"], newest + 1, "the catalog's next version")
            self.in_force.append((self.world.moment, body["version"]))
            return
        must(old is None, f"catalog {sort} is written over")
        same(len(words["CATALOG"]), 2, "a version and its being in force")
        self.goods[body["version"]] = Goods.of(body, int(new["since"]["N"]))

    def _manager(self, frame: "Frame", change: Change, lines: list[Json], words: dict[str, list[Change]]) -> None:
        _, old, new = change
        assert new is not None
        record = plain(new)
        counts = {
            name: record[name] for name in ("version", "revision", "tries", "locks", "tried_at") if name in record
        }
        account = frame.account or ""
        known = self.managers.get(account)
        must((old is None) == (known is None), f"{account}: the code's record")
        same(counts["revision"], (known.revision if known else 0) + 1, f"{account}: revision of the code")
        if known is None or counts["version"] != known.version:
            same(frame.step.kind, "code", "who changes a code")
            same(counts["version"], (known.version if known else 0) + 1, f"{account}: version of the code")
            must(known is None or known.code != frame.asked["code"], f"{account}: the new code is the old one")
            shown = frame.asked.get("current")
            must(shown is None or (known and shown == known.code), f"{account}: a new code for a wrong one")
            self.managers[account] = Manager(frame.asked["code"], **counts)
            return
        shown = frame.asked.get("current", frame.asked["code"])
        if counts["tries"] == 0:
            same(shown, known.code, f"{account}: forgiven for a code that is wrong")
            same(counts["locks"], 0, f"{account}: locks after the right code")
        else:
            _counted(known, Manager(known.code, **counts), frame.now, account)
        self.managers[account] = Manager(known.code, **counts)

    def _session(self, frame: "Frame", change: Change, lines: list[Json], words: dict[str, list[Change]]) -> None:
        (partition, _), old, new = change
        assert new is not None
        record = plain(new)
        digest = partition.removeprefix("SESSION#")
        manager = self.managers[record["account"]]
        if frame.step.kind == "unlock":
            must(old is None, "a session's token twice")
            same(frame.asked["code"], manager.code, f"{record['account']}: a session for a wrong code")
            same(record["expires_at"], frame.now + 600_000, f"{record['account']}: a session's ten minutes")
            self.passes[digest] = Pass(record["account"], record["code_version"], record["expires_at"])
            return
        known = self.passes.get(digest)
        must(known is not None and old is not None, "a purchase with a session that nobody opened")
        assert known is not None
        same(known.account, frame.account, "a purchase with a session of another account")
        must(not known.purchase, "two purchases with one session")
        must(frame.now < known.expires_at, "a purchase with a session that is over")
        versions = {manager.version, frame.code_version}
        must(known.version in versions, "a purchase with a session that a change of the code ended")
        known.purchase = record["purchase"]

    def _sweep(self, frame: "Frame", change: Change, lines: list[Json], words: dict[str, list[Change]]) -> None:
        """Where a sweep goes on is its own affair: what it must not lose is counted at the end."""

    _reconciliation = _pending_check = _sweep

    def recent(self, frame: "Frame") -> list[int]:
        """Versions that a request may go by: in force while it ran or up to half a minute before."""
        return [version for _, version in lasted(self.in_force, frame.begun_moment - 30_000)]

    def truth_moves(self) -> None:
        """Note what Stripe says now of every payment."""
        tables = self.world.stripe.tables
        now: Counter[tuple[str, str]] = Counter()
        for refund in tables.get("refund", {}).values():
            if refund["status"] not in VOID_REFUNDS:
                now[refund["payment_intent"], "refunded"] += refund["amount"]
        for dispute in tables.get("dispute", {}).values():
            if dispute["status"] in LOST_DISPUTES:
                now[dispute["payment_intent"], "disputed"] += dispute["amount"]
        for payment in tables.get("payment_intent", {}):
            known = self.truths.setdefault(payment, [(0, 0, 0)])
            truth = (now[payment, "refunded"], now[payment, "disputed"])
            if known[-1][1:] != truth:
                known.append((self.world.moment, *truth))

    def _note(self, frame: "Frame", book: Book, line: Json, before: Any) -> None:
        """Count what is worth having happened."""
        for situation in situations(self, frame, book, line, before):
            self.seen[situation] += 1


def lasted[T](history: list[tuple[int, T]], since: int) -> list[tuple[int, T]]:
    """What was so at an instant, if anything was, and what came after it. history: since when, and what."""
    return history[max(0, bisect_right(history, since, key=itemgetter(0)) - 1) :]


def _counted(known: Manager, counted: Manager, now: int, account: str) -> None:
    """A try is counted before it is compared; after five wrong ones nobody tries until the lock has ended."""
    tries, locks = known.tries + 1, known.locks
    if known.tries == MAX_TRIES:
        until = known.tried_at + LOCKS[min(locks, len(LOCKS) - 1)]
        must(now >= until, f"{account}: a try while it is locked, {until - now} ms too early")
        tries, locks = 1, locks + 1
    same((counted.tries, counted.locks), (tries, locks), f"{account}: tries and locks")


def situations(auditor: Auditor, frame: "Frame", book: Book, line: Json, before: State | None) -> list[str]:
    """What makes this entry worth having been written."""
    kind, at = line["type"], line["at"]
    draws = [draw for draw in line["draws"] if draw[0] == "lot"]
    found = {
        "clock: an entry dated by the one before it": at > frame.now,
        "a grant settled what was owed": kind in GIFTS and line.get("owed"),
    }
    if kind == "expiry":
        found |= {
            "boundary: expired at this very instant": any(draw[3] == at for draw in draws),
            "an expiry recorded before the sweep came": frame.step.kind != "sweep",
        }
    if kind == "consumption":
        found |= {
            "boundary: spent in a lot's last millisecond": any(draw[3] == at + 1 for draw in draws),
            "boundary: a debit at the renewal's instant": before and before.renews_at == at,
            "one debit, three lots or more": len(draws) > 2,
            "one debit, quota and credits": draws and len(draws) < len(line["draws"]),
            "a debit by a catalog that is stale": line["catalog_version"] < auditor.in_force[-1][1],
            "a debit took the last of everything": line["quota_remaining"] == 0 == book.state.available,
        }
    if kind == "quota_renewal":
        found["boundary: renewed at this very instant"] = before and before.renews_at == at
    if kind in MONEY:
        found |= dict.fromkeys(money_situations(book, line), True)
    return [name for name, happened in found.items() if happened]


def money_situations(book: Book, line: Json) -> list[str]:
    found, bought = [], book.bought[line["purchase"]]
    given = -sum(draw[2] for draw in line["draws"])
    ended = book.ends[bought.lots[0]] <= line["at"]
    if line.get("owed", 0) > 0:
        found.append("money back: spent credits became owed")
    if line.get("owed", 0) < 0:
        found.append("money returned: a debt was cancelled")
    if given > 0:
        found.append(f"{line['type']} undone: credits returned")
    if given > 0 and ended:
        found.append(f"{line['type']} undone after the lot had lapsed")
    if "lot" in line and line["lot"][EXPIRES_AT] - line["at"] != 7 * 86_400_000:
        found.append("a debt that was settled came back as a new lot")
    if ended and given <= 0:
        found.append("money back after the lot had lapsed")
    if given < 0 and any(draw[2] for draw in line["draws"]) and line.get("owed", 0) > 0:
        found.append("money back: part was there, part was spent")
    return found


def state_of(record: Json) -> str:
    if record["disputed"]:
        return "disputed"
    if record["refunded"] >= record["amount"]:
        return "refunded"
    return "partially_refunded" if record["refunded"] else "granted"


def plain(item: Json) -> Json:
    """An item's texts and whole numbers."""
    return {
        name: int(value["N"]) if "N" in value else value.get("S", value.get("BOOL"))
        for name, value in item.items()
        if name not in {"PK", "SK"}
    }


__all__ = ["REMAINING", "Auditor", "Deal", "Manager", "Pass", "lasted", "plain", "situations", "state_of"]
