"""The recent pass: what is new in each account is checked as in a whole pass, wherever the last pass ended."""

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from prepaid.store import keys
from prepaid.store.dynamodb import query
from prepaid.store.verification import VerifiedUpTo, save_audit, save_verified_up_to
from prepaid.use_cases.verifying.account_audit import AccountAudit
from prepaid.use_cases.verifying.checking import lookup_of, needed_rows, read_ledger_row
from prepaid.use_cases.verifying.scan_pass import ScanPass
from prepaid.use_cases.verifying.stored_audit import pack_audit
from tests.support.corruptions import Corruption, attributes, cut_off, fields, named, rehash
from tests.support.eventful_accounts import live
from tests.support.store_driver import DAY, NOW, Stored, StoreDriver
from tests.support.whole_table import WholeTable, context_at, verified, verified_recently

# One in ten of the changed fields is planted, another tenth with each SEED. `make proof` plants all.
SEED = int(os.environ.get("SEED", "1"))
ONE_IN = int(os.environ.get("CORRUPTIONS_ONE_IN", "10"))
# After the last entry, before the end of the lots that are left.
SOON_AFTER = NOW + 445 * DAY
ACCOUNT = "acme"


@pytest.fixture(scope="module")
def clean() -> Stored:
    """A table to which everything has happened."""
    whole = WholeTable()
    live(StoreDriver(whole.table))
    return whole.snapshot()


def accounts_in(items: Stored) -> list[str]:
    return sorted(sort for partition, sort in items if partition == keys.ACCOUNTS)


def entries_of(items: Stored, account: str) -> int:
    return sum(key[0] == f"ACCOUNT#{account}" and key[1].startswith("ENTRY#") for key in items)


def mark(whole: WholeTable, account: str, number: int) -> None:
    """The account as a pass leaves it that ended at this entry: the real checks of the entries up to there."""
    context = context_at(whole.table, [], SOON_AFTER, 500)
    lookup = lookup_of(context, ScanPass(started_at=SOON_AFTER), consistent=True)
    rows = query(whole.table, keys.ledger(account), first=keys.entry_sort(1), last=keys.entry_sort(number), limit=500)
    audit = AccountAudit(account)
    for item in rows:
        lookup.fetch(needed_rows(item))
        read_ledger_row(audit, item, lookup)
    assert audit.last is not None
    assert audit.number == number
    save_audit(whole.table, account, pack_audit(audit))
    save_verified_up_to(whole.table, VerifiedUpTo(account=account, number=number, hash=bytes(audit.last["hash"]["B"])))


def marked(clean: Stored, account: str, number: int) -> Stored:
    """The table with all accounts marked at their end, but this one at an earlier entry."""
    whole = WholeTable()
    whole.hold(clean)
    for other in accounts_in(clean):
        mark(whole, other, number if other == account else entries_of(clean, other))
    return whole.snapshot()


def test_every_account_of_the_life_is_marked_by_a_whole_pass(clean: Stored) -> None:
    whole = WholeTable()
    whole.hold(clean)
    assert verified(whole.table, now=SOON_AFTER).findings == []

    done = verified_recently(whole.table, now=SOON_AFTER)

    assert done.recent is not None
    assert (done.findings, done.recent.read) == ([], len(accounts_in(clean)))


@pytest.mark.parametrize("page_rows", [1, 500])
def test_it_continues_at_any_entry_of_any_account(clean: Stored, page_rows: int) -> None:
    """A purchase, refund or reversal then follows from what the stored audit says of earlier entries."""
    whole = WholeTable()
    for account in accounts_in(clean):
        last = entries_of(clean, account)
        for number in range(1, last):
            before = marked(clean, account, number)
            whole.hold(before)

            done = verified_recently(whole.table, now=SOON_AFTER, page_rows=page_rows, cut=page_rows == 1)

            assert done.recent is not None
            # The list, the entries since, and the account's other rows.
            behind = [key for key in clean if key[0] == f"ACCOUNT#{account}" and key[1] > keys.entry_sort(number)]
            assert (done.findings, done.recent.read) == ([], len(accounts_in(clean)) + len(behind)), (account, number)
            assert verified_recently(whole.table, now=SOON_AFTER).recent.read == len(accounts_in(clean))  # type: ignore[union-attr]


def missed(corruptions: Iterator[Corruption], *, one_in: int = 1) -> tuple[set[str], int]:
    """The names of corruptions in which a recent pass finds nothing, and how many there are."""
    whole, names, number = WholeTable(), set(), 0
    for number, (name, items) in enumerate(corruptions, 1):
        if (number - SEED) % one_in == 0:
            whole.hold(items)
            if not verified_recently(whole.table, now=SOON_AFTER).findings:
                names.add(name)
    assert number
    return names, number


def new_rows(items: Stored, account: str, number: int) -> Stored:
    """The account's rows that came after this entry."""
    after = (f"ACCOUNT#{account}", keys.entry_sort(number))
    return {key: item for key, item in items.items() if key[0] == after[0] and key > after and key[1] < "MANAGER"}


def changes_of(table: Stored, rows: Stored, kind: object) -> Iterator[Corruption]:
    for name, changed in kind(rows):  # type: ignore[operator]
        yield name, {**{key: item for key, item in table.items() if key not in rows}, **changed}


HALF = 8


def test_any_change_of_a_new_entry_is_found(clean: Stored) -> None:
    table = marked(clean, ACCOUNT, HALF)
    rows = new_rows(table, ACCOUNT, HALF)

    names, planted = missed(changes_of(table, rows, attributes))

    assert (names, planted > 30) == (set(), True)
    assert missed(changes_of(table, rows, lambda rows: fields(rows, rehashed=False)), one_in=ONE_IN)[0] == set()


def test_a_rehashed_change_of_credits_in_a_new_entry_is_found(clean: Stored) -> None:
    table = marked(clean, ACCOUNT, HALF)
    rows = new_rows(table, ACCOUNT, HALF)

    def forged() -> Iterator[Corruption]:
        for name, changed in fields(rows, rehashed=False):
            if name.startswith("state.") and not name.startswith(("state.catalog", "state.at")):
                yield name, rehash({**table, **changed}, f"ACCOUNT#{ACCOUNT}")

    assert missed(forged(), one_in=ONE_IN)[0] == set()


def test_a_new_entry_or_a_row_it_needs_that_is_gone_is_found(clean: Stored) -> None:
    table = marked(clean, ACCOUNT, HALF)
    rows = [key for key in new_rows(table, ACCOUNT, HALF) if key[1] != keys.entry_sort(entries_of(clean, ACCOUNT))]
    beside = [key for key in table if key[0] == f"ACCOUNT#{ACCOUNT}" and key[1].startswith(("PROF", "PURCH", "REV"))]
    # No entry leads to a purchase that nobody has paid: a whole pass misses it by its claim.
    others = [key for key in beside if not key[1].startswith("PURCH") or "payment" in table[key]]

    def gone() -> Iterator[Corruption]:
        for key in rows + others:
            yield named(key, table[key]), {other: item for other, item in table.items() if other != key}

    assert missed(gone())[0] == set()


def test_a_ledger_cut_below_its_mark_is_found(clean: Stored) -> None:
    whole = WholeTable()
    whole.hold(clean)
    verified(whole.table, now=SOON_AFTER)

    assert missed(cut_off(whole.snapshot(), ACCOUNT, 4))[0] == set()


@pytest.mark.parametrize("newer", [True, False])
def test_a_marked_entry_that_was_replaced_is_found(clean: Stored, newer: bool) -> None:
    """Even where no entry came since, and every later hash was made to fit."""
    number = HALF if newer else entries_of(clean, ACCOUNT)
    table = marked(clean, ACCOUNT, number)
    key = (f"ACCOUNT#{ACCOUNT}", keys.entry_sort(number))
    state = table[key]["state"]["S"].replace("1", "2", 1)
    whole = WholeTable()
    whole.hold(rehash({**table, key: {**table[key], "state": {"S": state}}}, key[0]))

    assert "history_changed" in verified_recently(whole.table, now=SOON_AFTER).codes


def test_a_ledger_cut_between_its_audit_and_its_mark_is_found(clean: Stored) -> None:
    """The audit of an account with too many purchases isn't kept, so the one that is kept may be older."""
    last = entries_of(clean, ACCOUNT)
    older, newer = marked(clean, ACCOUNT, HALF), marked(clean, ACCOUNT, last)
    audit = (keys.audit(ACCOUNT)["PK"]["S"], "AUDIT")
    table = {**newer, audit: older[audit]}
    whole = WholeTable()
    whole.hold(table)
    assert verified_recently(whole.table, now=SOON_AFTER).findings == []

    whole.hold({key: item for key, item in table.items() if key != (f"ACCOUNT#{ACCOUNT}", keys.entry_sort(last))})

    assert "history_cut" in verified_recently(whole.table, now=SOON_AFTER).codes


def test_an_old_entry_is_left_to_the_whole_pass(clean: Stored) -> None:
    table = marked(clean, ACCOUNT, HALF)
    key = (f"ACCOUNT#{ACCOUNT}", keys.entry_sort(HALF - 3))
    whole = WholeTable()
    whole.hold({**table, key: {**table[key], "hash": {"B": "AAAA"}}})

    assert verified_recently(whole.table, now=SOON_AFTER).findings == []
    assert "chain_broken" in verified(whole.table, now=SOON_AFTER).codes


def claims_of(table: Stored, after: int) -> list[tuple[str, str]]:
    """The keys of the account's claims of entries after this one."""
    kind = f"CLAIM#{ACCOUNT}#"
    return [
        key
        for key, item in table.items()
        if key[0].startswith(kind) and int(item.get("number", {}).get("N", 0)) > after
    ]


def lost(table: Stored) -> Stored:
    claim = claims_of(table, HALF)[0]
    return {key: item for key, item in table.items() if key != claim}


def changed(table: Stored) -> Stored:
    """Two keys that lead to each other's entry."""
    first, second = claims_of(table, HALF)[:2]
    swapped = {first: table[first] | pointing(table[second]), second: table[second] | pointing(table[first])}
    return {**table, **swapped}


def doubled(table: Stored) -> Stored:
    """A second key that leads to the same entry."""
    claim = claims_of(table, HALF)[0]
    partition = f"{claim[0]}-again"
    return {**table, (partition, claim[1]): {**table[claim], "PK": {"S": partition}}}


def pointing(claim: Any) -> Any:
    return {"number": claim["number"]}


@pytest.mark.parametrize("corrupt", [lost, changed, doubled])
def test_a_claim_is_left_to_the_whole_pass(clean: Stored, corrupt: Callable[[Stored], Stored]) -> None:
    """An entry keeps only a part of its key's digest, too little to look up its claim."""
    whole = WholeTable()
    whole.hold(corrupt(marked(clean, ACCOUNT, HALF)))

    assert verified_recently(whole.table, now=SOON_AFTER).findings == []
    assert verified(whole.table, now=SOON_AFTER).codes & {"claim_missing", "claim_dangling"}


def copy_of(table: Stored, key: tuple[str, str], to: tuple[str, str]) -> Stored:
    return {**table, to: {**table[key], "PK": {"S": to[0]}, "SK": {"S": to[1]}}}


def added_last(table: Stored) -> Stored:
    last = entries_of(table, ACCOUNT)
    ledger = keys.ledger(ACCOUNT)
    return copy_of(table, (ledger, keys.entry_sort(last)), (ledger, keys.entry_sort(last + 1)))


def added_after_a_gap(table: Stored) -> Stored:
    last = entries_of(table, ACCOUNT)
    ledger = keys.ledger(ACCOUNT)
    return copy_of(table, (ledger, keys.entry_sort(last)), (ledger, keys.entry_sort(last + 7)))


def added_between(table: Stored) -> Stored:
    ledger, sort = keys.ledger(ACCOUNT), keys.entry_sort(HALF + 1)
    return copy_of(table, (ledger, sort), (ledger, f"{sort}0"))


def added_beside(table: Stored) -> Stored:
    return copy_of(table, (keys.ledger(ACCOUNT), "PROFILE"), (keys.ledger(ACCOUNT), "SURPRISE"))


@pytest.mark.parametrize("news", [True, False])
@pytest.mark.parametrize("corrupt", [added_last, added_after_a_gap])
def test_an_entry_added_at_the_end_is_found(clean: Stored, corrupt: Callable[[Stored], Stored], news: bool) -> None:
    whole = WholeTable()
    whole.hold(corrupt(marked(clean, ACCOUNT, HALF if news else entries_of(clean, ACCOUNT))))

    assert verified_recently(whole.table, now=SOON_AFTER).findings


def assert_found_with_news(clean: Stored, corrupt: Callable[[Stored], Stored]) -> None:
    """The daily pass finds it once the account has new entries; without them, only the whole pass does."""
    whole = WholeTable()
    whole.hold(corrupt(marked(clean, ACCOUNT, HALF)))
    assert verified_recently(whole.table, now=SOON_AFTER).findings

    whole.hold(corrupt(marked(clean, ACCOUNT, entries_of(clean, ACCOUNT))))
    assert verified_recently(whole.table, now=SOON_AFTER).findings == []
    assert verified(whole.table, now=SOON_AFTER).findings


@pytest.mark.parametrize("corrupt", [added_between, added_beside])
def test_a_row_added_to_a_ledger_is_found_with_its_news(clean: Stored, corrupt: Callable[[Stored], Stored]) -> None:
    assert_found_with_news(clean, corrupt)


def beside(table: Stored, start: str) -> tuple[str, str]:
    """The key of the account's first row beside its entries that begins like this; of a purchase, one that is paid."""
    rows = [key for key in table if key[0] == keys.ledger(ACCOUNT) and key[1].startswith(start)]
    return min(key for key in rows if start != "PURCHASE#" or "payment" in table[key])


def another_name(table: Stored) -> Stored:
    key = beside(table, "PROFILE")
    return {**table, key: {**table[key], "name": {"S": "Another name"}}}


def another_state(table: Stored) -> Stored:
    key = beside(table, "PURCHASE#")
    return {**table, key: {**table[key], "state": {"S": "created"}}}


def other_units(table: Stored) -> Stored:
    key = beside(table, "REVERSED#")
    return {**table, key: {**table[key], "units": {"N": "77"}}}


def without_payment(table: Stored) -> Stored:
    key = (f"PAYMENT#{table[beside(table, 'PURCHASE#')]['payment']['S']}", "PAYMENT")
    assert key in table
    return {other: item for other, item in table.items() if other != key}


def without_code(table: Stored) -> Stored:
    key = beside(table, "MANAGER")
    return {other: item for other, item in table.items() if other != key}


@pytest.mark.parametrize("corrupt", [another_name, another_state, other_units, without_payment, without_code])
def test_a_row_beside_the_entries_is_checked_with_news(clean: Stored, corrupt: Callable[[Stored], Stored]) -> None:
    """Without news, the account's rows are left to the whole pass."""
    assert_found_with_news(clean, corrupt)


def test_a_lost_unpaid_purchase_is_left_to_the_whole_pass(clean: Stored) -> None:
    """No entry leads to it. Its claim does."""
    table = marked(clean, ACCOUNT, HALF)
    unpaid = next(key for key in table if key[1].startswith("PURCHASE#") and "payment" not in table[key])
    whole = WholeTable()
    whole.hold({key: item for key, item in table.items() if key != unpaid})

    assert verified_recently(whole.table, now=SOON_AFTER).findings == []
    assert "claim_dangling" in verified(whole.table, now=SOON_AFTER).codes


def test_an_account_that_the_list_omits_is_left_to_the_whole_pass(clean: Stored) -> None:
    """The recent pass finds accounts by the list."""
    table = marked(clean, ACCOUNT, HALF)
    whole = WholeTable()
    whole.hold({key: item for key, item in table.items() if key != (keys.ACCOUNTS, ACCOUNT)})

    assert verified_recently(whole.table, now=SOON_AFTER).findings == []
    assert verified(whole.table, now=SOON_AFTER).codes == {"listed_missing"}


@pytest.mark.parametrize("kept", ["AAAA", "eJyrrgUAAXUA+Q==", None])
def test_an_account_without_a_readable_audit_is_read_from_its_start(clean: Stored, kept: str | None) -> None:
    table = marked(clean, ACCOUNT, HALF)
    key = (keys.audit(ACCOUNT)["PK"]["S"], keys.audit(ACCOUNT)["SK"]["S"])
    others = {other: item for other, item in table.items() if other != key}
    whole = WholeTable()
    whole.hold(others if kept is None else {**others, key: {**table[key], "audit": {"B": kept}}})

    done = verified_recently(whole.table, now=SOON_AFTER)

    assert done.recent is not None
    whole_account = sum(other[0] == f"ACCOUNT#{ACCOUNT}" for other in clean)
    assert (done.findings, done.recent.read) == ([], len(accounts_in(clean)) + whole_account)
    assert verified_recently(whole.table, now=SOON_AFTER).recent.read == len(accounts_in(clean))  # type: ignore[union-attr]


def test_another_accounts_audit_is_not_continued(clean: Stored) -> None:
    table = marked(clean, ACCOUNT, HALF)
    mine, others = ((keys.audit(account)["PK"]["S"], "AUDIT") for account in (ACCOUNT, "zoo"))
    whole = WholeTable()
    whole.hold({**table, mine: {**table[mine], "audit": table[others]["audit"]}})

    assert verified_recently(whole.table, now=SOON_AFTER).findings == []


def test_an_account_that_was_never_verified_is_read_whole(clean: Stored) -> None:
    whole = WholeTable()
    whole.hold(clean)

    done = verified_recently(whole.table, now=SOON_AFTER)

    ledgers = sum(key[0].startswith("ACCOUNT#") for key in clean)
    assert done.recent is not None
    assert (done.findings, done.recent.read) == ([], len(accounts_in(clean)) + ledgers)
