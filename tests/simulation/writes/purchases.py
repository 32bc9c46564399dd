"""Checks the writes of purchases and their payments."""

import json
from bisect import bisect_right

from tests.oracle import answers
from tests.oracle.catalog import Json
from tests.oracle.expectation import must, same
from tests.oracle.purchases import money_back, revoked_credits, state_of
from tests.oracle.rules import MONEY_BACK
from tests.simulation.writes.commit import Change, Commit, KnownPurchase, plain
from tests.support.gateway_events import BUYER

AGREED = ("pack", "credits", "amount", "currency", "valid_months", "language", "live")
FIXED = ("id", "account", "requested_by", "created_at", *AGREED)


def check_purchase(commit: Commit, change: Change) -> None:
    _, old, new = change
    assert new is not None
    record = plain(new)
    if old is None:
        _check_begun(commit, record)
        return
    known, before = commit.auditor.purchases[record["id"]], plain(old)
    about = record["id"]
    same(record["version"], before["version"] + 1, f"{about}: version")
    for name in FIXED:
        same(record[name], before[name], f"{about}: {name}")
    must(before.get("session") in {None, record.get("session")}, f"{about}: another session")
    types = [line["type"] for line in commit.lines if line.get("purchase") == record["id"]]
    if commit.frame.step.kind == "buy":
        kept = record["state"] == before["state"] or before["state"] == "created"
        same((types, kept), ([], True), f"{about}: its page")
    if commit.frame.step.kind == "cancel":
        _check_cancelled(commit, before, record)
    elif record["state"] == "cancelled" != before["state"]:
        must("cancelling" in before, f"{about} is cancelled, and nobody asked for it")
    _check_money(commit, known, before, record, types)
    if known.granted and "purchase" not in types:
        same(record["state"], state_of(record), f"{about}: its state")
    if "paid" in record["state"]:
        commit.auditor.seen["purchase waits for a person"] += 1
    _check_voucher(commit, record)
    _check_ledger_agrees(commit, record)
    known.record = record
    _show(commit, known)


def _check_begun(commit: Commit, record: Json) -> None:
    frame, auditor = commit.frame, commit.auditor
    same(frame.step.kind, "buy", "which request begins a purchase")
    same(set(commit.changes), {"PURCHASE", "CLAIM", "SESSION", "PENDING_CHECK"}, "what begins a purchase")
    begun = (record["account"], record["version"], record["requested_by"])
    same(begun, (frame.account, 1, BUYER["client_id"]), "a purchase at its beginning")
    packs = [auditor.catalogs[version].packs.get(record["pack"]) for version in auditor.usable_versions(frame)]
    sold = [(pack["credits"], pack["amount"], pack["currency"], pack["valid_months"]) for pack in packs if pack]
    found = (record["credits"], record["amount"], record["currency"], record["valid_months"])
    must(found in sold, f"{record['id']}: {found} was agreed, {sold} is sold")
    must(record["id"] not in auditor.purchases, f"{record['id']} twice")
    auditor.purchases[record["id"]] = known = KnownPurchase(record)
    _show(commit, known)


def _check_cancelled(commit: Commit, before: Json, record: Json) -> None:
    """A cancellation writes its intention, then its completion once the page is closed. A payment wins."""
    about = record["id"]
    same(about, commit.frame.details["purchase"], "which purchase is cancelled")
    if "CLAIM" not in commit.changes:
        same((record["state"], record["cancelling"]), (before["state"], True), f"{about}: is being cancelled")
        same(before["state"], "open", f"{about}: what can be cancelled")
        return
    must(before["state"] in {"open", "cancelled"}, f"{about} is cancelled, and was {before['state']}")
    same(record["state"], "cancelled", f"{about}: after its cancellation")
    page = commit.auditor.world.stripe.tables["checkout.session"][record["session"]]
    must(page["status"] != "open", f"{about} is cancelled, and its page is open")
    first = "its event" if before["state"] == "cancelled" else "its request"
    commit.auditor.seen[f"a purchase cancelled, first by {first}"] += 1


def _check_money(commit: Commit, known: KnownPurchase, before: Json, record: Json, types: list[str]) -> None:
    """Credits are granted once, for money that was paid, and revoked for money that went back."""
    about, granted = record["id"], "purchase" in types
    must(not (granted and known.granted), f"{about}: granted twice")
    known.granted = known.granted or granted
    if granted:
        _check_paid(commit, record)
    moved = (record["refunded"], record["disputed"])
    if moved != (before["refunded"], before["disputed"]):
        must(known.granted, f"{about}: money goes back before it came")
        _check_stripe_has(commit, record, moved)
    same(record["revoked"], revoked_credits(record), f"{about}: revoked for {moved}")
    same(
        any(kind in MONEY_BACK for kind in types),
        record["revoked"] != before["revoked"],
        f"{about}: an entry for what is revoked",
    )


def _check_paid(commit: Commit, record: Json) -> None:
    """Credits only for money that was paid, in the session that was created for this purchase."""
    session = commit.auditor.world.stripe.tables["checkout.session"][record["session"]]
    same(session["payment_status"], "paid", f"{record['id']} is granted; Stripe's session")
    same(session["payment_intent"], record["payment"], f"{record['id']}: its payment")
    same(session["metadata"]["prepaid_purchase"], record["id"], "whose session it is")


def _check_voucher(commit: Commit, record: Json) -> None:
    """A pending purchase has the voucher that Stripe shows, unless the voucher has ended there."""
    if record["state"] != "pending":
        must("voucher" not in record, f"{record['id']}: a voucher of a purchase that is {record['state']}")
        return
    tables = commit.auditor.world.stripe.tables
    payment = tables["checkout.session"][record["session"]]["payment_intent"]
    shown = tables["payment_intent"][payment]["next_action"]
    if shown is None:
        return
    details = shown[shown["type"]]
    code, pdf = details.get("data") or details.get("number"), details.get("pdf")
    method, *rest = json.loads(record["voucher"])
    same((method in shown["type"], rest), (True, [code, details["expires_at"] * 1000, pdf]), f"{record['id']}: voucher")
    commit.auditor.seen[f"a {method} voucher is kept"] += 1


def _check_stripe_has(commit: Commit, record: Json, moved: tuple[int, int]) -> None:
    """The written amounts were true at Stripe at some time during this request."""
    history = commit.auditor.money_back.get(record["payment"], [])
    times = [time for time, _, _ in history]
    meanwhile = history[max(0, bisect_right(times, commit.frame.begun_moment) - 1) :]
    amounts = [money_back(record, refunded, disputed) for _, refunded, disputed in meanwhile]
    refunds, disputes = {refunded for refunded, _ in amounts}, {disputed for _, disputed in amounts}
    must(
        moved[0] in refunds and moved[1] in disputes,
        f"{record['id']}: {moved} went back, and at Stripe {meanwhile}",
    )


def _check_ledger_agrees(commit: Commit, record: Json) -> None:
    ledger = commit.auditor.ledgers[record["account"]]
    expected = ledger.purchased.get(record["id"])
    if expected:
        same(record["revoked"], expected.revoked, f"{record['id']}: revoked, in the ledger")
        same(record["debt"], expected.debt, f"{record['id']}: became owed, in the ledger")
        same(record["expired_unspent"], expected.expired_unspent, f"{record['id']}: had expired, in the ledger")


def _show(commit: Commit, known: KnownPurchase) -> None:
    """Keep what reading a purchase returns from now on: its lots are the ledger's."""
    auditor, record = commit.auditor, known.record
    ledger = auditor.ledgers[record["account"]]
    lots = [ledger.row_of(lot) for lot in ledger.purchased[record["id"]].lots] if known.granted else []
    known.shown.append((auditor.world.moment, answers.purchase(record, lots)))


def check_payment(commit: Commit, change: Change) -> None:
    (partition, _), old, new = change
    must(old is None and new is not None, f"{partition} pays twice")
    assert new is not None
    same(commit.lines[-1].get("purchase"), new["purchase"]["S"], f"{partition}: what it paid for")
    commit.auditor.payments[partition.removeprefix("PAYMENT#")] = new["purchase"]["S"]


def check_customer(_commit: Commit, change: Change) -> None:
    _, old, new = change
    must(old is None and new is not None, "a customer is replaced")


def check_quarantine(_commit: Commit, change: Change) -> None:
    must(False, f"{change[0][1]}: quarantined, though all money here fits its record")


CHECKS = {
    "PURCHASE": check_purchase,
    "PAYMENT": check_payment,
    "CUSTOMER": check_customer,
    "QUARANTINE": check_quarantine,
}
