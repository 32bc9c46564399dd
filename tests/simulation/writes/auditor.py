"""Sees every write as it is committed, knows which request made it, and keeps each ledger in the oracle.

What Stripe knows is read from the fake's own objects, never through the service.
"""

from bisect import bisect_right
from collections import Counter
from operator import itemgetter
from typing import TYPE_CHECKING, cast

from tests.oracle import effects, purchases, requests, rules, stored_form
from tests.oracle.catalog import CatalogVersion, Json, first_catalog
from tests.oracle.expectation import Broken, must, same
from tests.oracle.ledger import Ledger
from tests.oracle.manager_code import ManagerCode
from tests.oracle.rows import NUMBER
from tests.simulation.situations import situations
from tests.simulation.writes.commit import Change, Commit, KnownPurchase, KnownSession, plain
from tests.simulation.writes.erasures import CHECKS as ERASURE_CHECKS
from tests.simulation.writes.erasures import check_erased, erasure_of
from tests.simulation.writes.purchases import CHECKS as PURCHASE_CHECKS
from tests.simulation.writes.records import CHECKS as RECORD_CHECKS

if TYPE_CHECKING:
    from tests.simulation.frames import Frame
    from tests.simulation.world import World

# The items that a request may write, by the first word of their keys.
MAY_WRITE = {
    "debit": {"ENTRY", "CLAIM", "WAIT"},
    "batch": {"ENTRY", "CLAIM", "WAIT"},
    "grant": {"ENTRY", "CLAIM", "DUE"},
    "void": {"ENTRY", "CLAIM"},
    "hold": {"ENTRY", "CLAIM", "DUE"},
    "capture": {"ENTRY", "CLAIM"},
    "release": {"ENTRY", "CLAIM"},
    "reverse": {"ENTRY", "CLAIM", "DUE", "REVERSED"},
    "put_account": {"ENTRY", "PROFILE", "ACCOUNTS"},
    "patch_account": {"ENTRY", "PROFILE"},
    "erase": {"ENTRY", "CLAIM", "ERASURE"},
    "catalog": {"CATALOG"},
    "code": {"MANAGER"},
    "unlock": {"MANAGER", "SESSION", "CLAIM"},
    "buy": {"PURCHASE", "CLAIM", "SESSION", "PENDING_CHECK", "CUSTOMER"},
    "cancel": {"PURCHASE", "CLAIM"},
    "deliver": {"ENTRY", "PURCHASE", "PAYMENT", "DUE", "QUARANTINE", "PENDING_CHECK"},
    "reconcile": {"ENTRY", "PURCHASE", "PAYMENT", "DUE", "QUARANTINE", "RECONCILIATION", "PENDING_CHECK"},
    "sweep": {"ENTRY", "DUE", "SWEEP"},
}
WITH_A_CLAIM = {"debit", "grant", "void", "hold", "capture", "release", "reverse", "erase"}
CHECKS = {**PURCHASE_CHECKS, **RECORD_CHECKS, **ERASURE_CHECKS}
VOID_REFUNDS = {"failed", "canceled"}
LOST_DISPUTES = {"needs_response", "under_review", "lost"}


class Auditor:
    """What the table holds, as far as the rules cover it. seen: how often each situation was met."""

    def __init__(self, world: "World", seen: Counter[str]) -> None:
        self.world, self.seen = world, seen
        self.ledgers: dict[str, Ledger] = {}
        self.catalogs: dict[int, CatalogVersion] = {1: first_catalog()}
        # When a version came into force, by the true time.
        self.in_force: list[tuple[int, int]] = [(0, 1)]
        self.purchases: dict[str, KnownPurchase] = {}
        # Since when by the true time, for each account.
        self.profiles: dict[str, list[tuple[int, Json]]] = {}
        self.managers: dict[str, ManagerCode] = {}
        self.sessions: dict[str, KnownSession] = {}
        # By account, the ids of lots and holds.
        self.due: set[tuple[str, str]] = set()
        # Units by account and number of the entry that was reversed.
        self.reversed: Counter[tuple[str, int]] = Counter()
        # By account and key: the entries that an erasure erased, and whom it was asked to.
        self.erased: dict[tuple[str, str], list[int]] = {}
        self.walks: dict[tuple[str, str], str] = {}
        # By the row's key: the debit that waits in it.
        self.waiting: dict[tuple[str, str], Frame] = {}
        self.payments: dict[str, str] = {}
        # By payment: since when by the true time Stripe has this as refunded and disputed.
        self.money_back: dict[str, list[tuple[int, int, int]]] = {}

    def commit(self, frame: "Frame", changes: list[Change]) -> None:
        """Check what one request just wrote in one transaction. Raises Broken."""
        by_word: dict[str, list[Change]] = {}
        for change in changes:
            (partition, sort), _, _ = change
            word = (sort if partition.startswith("ACCOUNT#") else partition).partition("#")[0]
            by_word.setdefault(word, []).append(change)
        kind = frame.step.kind
        must(by_word.keys() <= MAY_WRITE.get(kind, set()), f"{kind} writes {sorted(by_word)}")
        entries = sorted(by_word.pop("ENTRY", []), key=lambda change: change[0][1])
        commit = Commit(self, frame, by_word, [])
        if kind == "erase" and entries and entries[0][1] is not None:
            check_erased(commit, entries[0])
            return
        if entries:
            self._enter(commit, entries)
        for word, written in by_word.items():
            for change in written:
                CHECKS[word](commit, change)

    def _enter(self, commit: Commit, entries: list[Change]) -> None:
        """Compare the entries with the oracle's: those that follow from time first, then the request's own, and no
        other."""
        frame, lines = commit.frame, commit.lines
        [account] = {partition.removeprefix("ACCOUNT#") for (partition, _), _, _ in entries}
        kind = frame.step.kind
        must(frame.account in {None, account}, f"{kind} for {frame.account} writes to {account}")
        ledger = self.ledgers.setdefault(account, Ledger(account))
        request = requests.Settle() if kind in {"batch", "erase"} else self._request(commit)
        if kind == "erase":
            request = erasure_of(commit, entries[-1][2] or {})
        carried = self._carried(commit)
        for (_, sort), old, new in entries:
            must(old is None and new is not None, f"{account}: {sort} is written over")
            assert new is not None
            before = ledger.state if ledger.number else None
            if int(sort.removeprefix("ENTRY#")) > commit.last_own:
                # Of the next debit that is carried, or what time did before it.
                owner = carried[min(number for number in carried if number > ledger.number)]
                assert owner.request is not None
                ledger.accept(new, owner.request, owner.now, self.catalogs)
                owner.entries.append((account, ledger.number))
                self.seen["a debit carried along"] += ledger.number in carried
                self.seen["a debit carried along after its request was killed"] += (
                    ledger.number in carried and owner.killed
                )
                continue
            if kind == "batch":
                request = _item_of(commit, new)
            line = ledger.accept(new, request, frame.now, self.catalogs)
            lines.append(line)
            frame.entries.append((account, ledger.number))
            for situation in situations(self, frame, ledger, line, before):
                self.seen[situation] += 1
        *first, last = lines
        types = [line["type"] for line in lines]
        if kind == "batch":
            first = [line for line in first if line["type"] != "consumption"]
            must(
                types == sorted(types, key="consumption".__eq__),
                f"{account}: entries that follow from time come first: {types}",
            )
        must({line["type"] for line in first} <= rules.SETTLING, f"{kind} writes {types}")
        if last["type"] in rules.SETTLING and last["actor"] == effects.SERVICE:
            # Only a request without an entry of its own may write just the entries that follow from time, and then all
            # of them.
            left = rules.next_entry(ledger, request, last["at"], self.catalogs[last["catalog_version"]])
            must(left is None, f"{kind} writes {types} and leaves out {left}")
        must(len({line["at"] for line in lines}) == 1, f"{account}: one request, one instant")
        _check_complete(commit, ledger, last)

    def _carried(self, commit: Commit) -> dict[int, "Frame"]:
        """The debits of other requests in a transaction, by the number of their entry."""
        claims = [new for _, _, new in commit.changes.get("CLAIM", []) if new and "row" in new]
        partition = f"WAIT#{commit.frame.account}"
        return {int(claim["number"]["N"]): self.waiting[partition, claim["row"]["S"]] for claim in claims}

    def _request(self, commit: Commit) -> requests.Request:
        """The request of the author of entries, or the one that follows from the purchase's record beside them."""
        frame = commit.frame
        if frame.step.kind == "sweep":
            return requests.Settle()
        if frame.step.kind not in {"deliver", "reconcile"}:
            assert frame.request is not None
            return frame.request
        must(len(commit.changes.get("PURCHASE", [])) == 1, "credits move for money together with their purchase")
        [(_, old, new)] = commit.changes["PURCHASE"]
        assert old is not None
        assert new is not None
        before, after = plain(old), plain(new)
        if self.purchases[before["id"]].granted:
            return requests.MoneyBack(
                actor="stripe",
                type=purchases.entry_type(before, after),
                purchase=before["id"],
                revoked=after["revoked"],
            )
        return requests.Grant(
            actor=before["requested_by"],
            kind="purchase",
            credits=before["credits"],
            months=before["valid_months"],
            description=before["pack"],
            purchase=before["id"],
        )

    def usable_versions(self, frame: "Frame") -> list[int]:
        """Catalog versions that a request may use: in force while it ran or up to half a minute before."""
        return [version for _, version in since(self.in_force, frame.begun_moment - 30_000)]

    def note_money_back(self) -> None:
        """Keep what Stripe has now of every payment."""
        tables = self.world.stripe.tables
        now: Counter[tuple[str, str]] = Counter()
        for refund in tables.get("refund", {}).values():
            if refund["status"] not in VOID_REFUNDS:
                now[refund["payment_intent"], "refunded"] += refund["amount"]
        for dispute in tables.get("dispute", {}).values():
            if dispute["status"] in LOST_DISPUTES:
                now[dispute["payment_intent"], "disputed"] += dispute["amount"]
        for payment in tables.get("payment_intent", {}):
            known = self.money_back.setdefault(payment, [(0, 0, 0)])
            amounts = (now[payment, "refunded"], now[payment, "disputed"])
            if known[-1][1:] != amounts:
                known.append((self.world.moment, *amounts))


def _item_of(commit: Commit, entry: Json) -> requests.Request:
    """The item of a batch that an entry carries out; any for an entry that follows from time. Items take effect in
    order."""
    line, _ = stored_form.read(entry)
    if line["type"] in rules.SETTLING:
        return requests.Settle()
    items = commit.frame.details["items"]
    for place in range(commit.frame.items_done, len(items)):
        if rules.is_asked_by(line, items[place].request):
            commit.frame.items_done = place + 1
            return cast("requests.Request", items[place].request)
    raise Broken(f"{commit.account}: no item matches {line}, or it is out of order")


def _due(commit: Commit) -> set[str]:
    return {(new or {})["what"]["S"] for _, _, new in commit.changes.get("DUE", [])}


def _check_complete(commit: Commit, ledger: Ledger, last: Json) -> None:
    """Check the rows that must be in one transaction with an entry."""
    changes, about = commit.changes, f"entry {ledger.number}"
    if "lot" in last:
        lot = last["lot"][NUMBER]
        must(f"lot_{lot:012d}" in _due(commit), f"{ledger.account}: lot {lot} is not on the sweep's list")
    if "lapses_at" in last:
        must(f"hold_{ledger.number:012d}" in _due(commit), f"{ledger.account}: {about} is not on the sweep's list")
    if "reverses" in last:
        must("REVERSED" in changes, f"{ledger.account}: {about} does not count what it reverses")
    if commit.frame.step.kind == "batch":
        spent = sum(line["type"] == "consumption" for line in commit.lines)
        same(len(commit.own_claims), spent, f"{ledger.account}: claims of a batch up to {about}")
    if commit.frame.step.kind in WITH_A_CLAIM:
        same(len(commit.own_claims), 1, f"{ledger.account}: claims with {about}")
    if last["type"] == "purchase":
        same(len(changes.get("PAYMENT", [])), 1, f"{ledger.account}: payments with {about}")
    if ledger.number == 1:
        must("PROFILE" in changes, f"{ledger.account}: opened without a profile")
        must("ACCOUNTS" in changes, f"{ledger.account}: opened without a row in the list")


def since[T](history: list[tuple[int, T]], at: int) -> list[tuple[int, T]]:
    """The value in force at an instant, if any, and those after it. history: pairs of since when and the value."""
    return history[max(0, bisect_right(history, at, key=itemgetter(0)) - 1) :]
