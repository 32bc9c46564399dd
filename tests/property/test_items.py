"""Entries as they are stored, and back; and the hash of a request, which must never change."""

from dataclasses import fields, replace
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from prepaid.core.account import Account, Charge, Hold, Lot
from prepaid.core.entry import Entry, EntryType, LotDraw, QuotaDraw
from prepaid.core.holding import Capture, PlaceHold, Release
from prepaid.core.ids import lot_id
from prepaid.core.ledger import Debit, Grant, Void, open_account
from prepaid.core.reversing import Reverse
from prepaid.store.items import (
    DESCRIBED_BY_SERVICE,
    GENESIS_HASH,
    SALT_BYTES,
    TEXTS,
    Claimable,
    entry_from_item,
    entry_to_item,
    erased_by,
    request_hash,
    texts_differ,
)
from tests.support.core_builders import CATALOG, NOW, some_terms
from tests.support.strategies import instants, lot_kinds, terms

SALT = bytes(range(SALT_BYTES))
# What a client asked for, without the actor and the texts, which are compared with the entry's.
OUTSIDE_HASH = ("actor", *TEXTS)

at = instants(datetime(2020, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC))
numbers = st.integers(1, 10**12 - 1)
amounts = st.integers(1, 10**15)
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
ids = st.from_regex(r"[A-Za-z0-9_-]{1,40}", fullmatch=True)
entry_types = st.sampled_from(EntryType.__args__)  # type: ignore[attr-defined]

lots = st.builds(Lot, number=numbers, kind=lot_kinds, granted=amounts, remaining=amounts, granted_at=at, expires_at=at)
months = st.dates(date(2020, 1, 1), date(2200, 1, 1)).map(lambda day: day.replace(day=1))
charges = st.builds(
    Charge,
    feature=ids,
    quantity=st.integers(1, 10_000),
    quota=st.just(0),
    period=st.none(),
    lots=st.lists(lots, max_size=3).map(tuple),
) | st.builds(
    Charge,
    feature=ids,
    quantity=st.integers(1, 10_000),
    quota=st.integers(1, 10_000),
    period=months,
    lots=st.lists(lots, max_size=3).map(tuple),
)
holds = st.builds(Hold, number=numbers, charge=charges, lapses_at=at)
accounts = st.builds(
    Account,
    id=ids,
    number=numbers,
    at=at,
    terms=terms,
    quotas_used=st.dictionaries(ids, st.integers(1, 10**6), max_size=3),
    quota_renews_at=at,
    lots=st.lists(lots, max_size=5).map(tuple),
    owed=st.just(0) | amounts,
    holds=st.lists(holds, max_size=2).map(tuple),
)
lot_draws = st.builds(LotDraw, lot=numbers.map(lot_id), credits=amounts | amounts.map(lambda n: -n), expires_at=at)
plain_entries = st.builds(
    Entry,
    type=entry_types,
    credits=st.integers(-(10**15), 10**15),
    quota=st.integers(-(10**6), 10**6),
    owed=st.just(0) | st.integers(-(10**15), 10**15),
    quota_remaining=st.integers(0, 10**6),
    draws=st.lists(lot_draws, max_size=4).map(tuple),
    actor=words,
    catalog_version=numbers,
    after=accounts,
    feature=st.none() | ids,
    quantity=st.none() | st.integers(1, 10_000),
    description=st.none() | words,
    customer=st.none() | words,
    reference=st.none() | words,
    lot=st.none() | lots,
    purchase=st.none() | ids,
    lapses_at=st.none() | at,
    holds=st.lists(numbers, max_size=3).map(tuple),
    returned=st.lists(lot_draws, max_size=2).map(tuple),
    expired=st.lists(lot_draws, max_size=2).map(tuple),
    reverses=st.none() | numbers,
)


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    """An entry with a feature draws on and moves the quota of that feature only."""
    entry = draw(plain_entries)
    if entry.feature is None:
        several = draw(st.lists(st.builds(QuotaDraw, feature=ids, units=amounts), max_size=2))
        entry = replace(entry, draws=(*several, *entry.draws))
        return replace(entry, quotas=draw(st.dictionaries(ids, st.integers(-(10**6), 10**6).filter(bool), max_size=3)))
    quota_draws = draw(st.lists(st.builds(QuotaDraw, feature=st.just(entry.feature), units=amounts), max_size=1))
    quotas = {entry.feature: entry.quota} if entry.quota else {}
    returned = (*quota_draws, *entry.returned)
    return replace(entry, draws=(*quota_draws, *entry.draws), returned=returned, quotas=quotas)


debits = st.builds(
    Debit,
    actor=words,
    feature=ids,
    quantity=st.integers(1, 10_000),
    description=st.none() | words,
    customer=st.none() | words,
    reference=st.none() | words,
)
grants = st.builds(
    Grant,
    actor=words,
    kind=lot_kinds,
    credits=amounts,
    validity=st.integers(1, 120) | at,
    description=st.none() | words,
    purchase=st.none() | ids,
)
voids = st.builds(
    Void,
    actor=words,
    lot=numbers,
    credits=st.none() | amounts,
    description=st.none() | words,
)
texts: dict[str, Any] = {name: st.none() | words for name in ("description", "customer", "reference")}
placed = st.builds(
    PlaceHold, actor=words, feature=ids, quantity=st.integers(1, 10_000), ttl_seconds=st.integers(1, 86_400), **texts
)
captures = st.builds(Capture, actor=words, hold=numbers, quantity=st.none() | st.integers(0, 10_000), **texts)
releases = st.builds(Release, actor=words, hold=numbers)
reversals = st.builds(
    Reverse,
    actor=words,
    entry=numbers,
    charge=charges,
    reversed=st.integers(0, 10_000),
    quantity=st.none() | st.integers(1, 10_000),
    **texts,
)
operations = st.one_of(debits, placed, captures, releases, reversals, grants, voids)
# Fields that the client doesn't send: they come from the hold or from the entry that is reversed.
FOUND: dict[type, dict[str, Any]] = {
    Capture: {"description": None, "customer": None, "reference": None},
    Reverse: {"charge": None, "reversed": 0, "customer": None, "reference": None},
}


def as_requested(operation: Claimable) -> Claimable:
    """The operation as its client asked for it: without actor, texts and found fields."""
    texts = {field.name: None for field in fields(operation) if field.name in TEXTS}
    return replace(operation, **{"actor": "", **texts, **FOUND.get(type(operation), {})})


@given(entry=entries())
def test_an_entry_comes_back_from_its_item_as_it_went_in(entry: Entry) -> None:
    assert entry_from_item(entry_to_item(entry, GENESIS_HASH, SALT)) == entry


@given(entry=entries())
def test_an_entry_keeps_everything_but_its_texts_when_they_are_erased(entry: Entry) -> None:
    item = entry_to_item(entry, GENESIS_HASH, SALT)
    assume("texts" in item)

    erased = {**item, "texts": {"S": erased_by("k")}}

    kept = entry.description if entry.type in DESCRIBED_BY_SERVICE else None
    assert entry_from_item(erased) == replace(entry, description=kept, customer=None, reference=None, erased=True)
    assert not texts_differ(item)
    assert not texts_differ(erased)


SALTS = st.just(SALT) | st.binary(min_size=SALT_BYTES, max_size=SALT_BYTES)


@given(entry=entries(), other=entries(), salt=SALTS)
def test_other_texts_or_another_salt_do_not_fit_a_line(entry: Entry, other: Entry, salt: bytes) -> None:
    item, others = entry_to_item(entry, GENESIS_HASH, SALT), entry_to_item(other, GENESIS_HASH, salt)
    assume("texts" in item and item["texts"] != others.get("texts"))

    without = {name: value for name, value in item.items() if name != "texts"}

    assert texts_differ({**without, **({"texts": others["texts"]} if "texts" in others else {})})


@given(entry=entries())
def test_a_line_holds_no_text_of_a_client(entry: Entry) -> None:
    item = entry_to_item(replace(entry, type="consumption", customer="Maria Pereira"), GENESIS_HASH, SALT)

    assert "Maria" not in item["line"]["S"] + item["state"]["S"]
    assert "Maria Pereira" in item["texts"]["S"]


def test_an_entry_of_a_form_from_the_future_is_not_read() -> None:
    item = entry_to_item(open_account("acme", some_terms(), actor="a", catalog=CATALOG, now=NOW), GENESIS_HASH)
    newer = item["line"]["S"].replace('"v":1', '"v":2')

    with pytest.raises(ValueError, match="unknown form 2"):
        entry_from_item({**item, "line": {"S": newer}})


@given(entry=entries(), previous=st.binary(min_size=32, max_size=32))
def test_an_entrys_hash_depends_on_the_one_before_it(entry: Entry, previous: bytes) -> None:
    assume(previous != GENESIS_HASH)

    first, second = entry_to_item(entry, previous, SALT), entry_to_item(entry, GENESIS_HASH, SALT)
    assert first["hash"] != second["hash"]


def test_the_hash_of_a_debit_is_the_same_in_every_version() -> None:
    debit = Debit(actor="service", feature="sticker", quantity=2, customer="Rex ✂")

    assert request_hash(debit).hex() == "58214003ebeb12f2bdffe9a4294157ff4a27436282fdf2ee657ef347e5c93f14"


def test_the_hash_of_a_grant_is_the_same_in_every_version() -> None:
    grant = Grant(
        actor="administrator",
        kind="promotion",
        credits=50,
        validity=datetime(2026, 12, 31, 3, tzinfo=UTC),
        description="welcome",
    )

    assert request_hash(grant).hex() == "2f1746c5f9166271d3538c9772f4e2b9f80a07b02c315f2da33bf37ad158d437"


def test_the_hash_of_a_void_is_the_same_in_every_version() -> None:
    void = Void(actor="administrator", lot=2, credits=450_000, description="500,000 instead of 50,000")

    assert request_hash(void).hex() == "fd414fa303432f829fe8b7c0406da15da76a3abec470c56ab132aa8813677da7"


def test_hashes_of_holds_and_reversals_are_the_same_in_every_version() -> None:
    hold = PlaceHold(actor="service", feature="sticker", quantity=3, ttl_seconds=900, customer="Rex")
    charge = Charge(feature="sticker", quantity=3, quota=0, period=None, lots=())
    reversal = Reverse(actor="service", entry=7, charge=charge, reversed=1, quantity=2, description="failed")

    capture = Capture(actor="service", hold=5, quantity=2, customer="Rex")
    release = Release(actor="service", hold=5)

    assert [request_hash(operation).hex() for operation in (hold, capture, release, reversal)] == [
        "9febdf3145040f52a8291963dac57a299820a7173640b95c3ba124553c3614f4",
        "7b0915866ddfd107c7c09ba32091e2c2a3385ac0961293391fda0f8f3225529e",
        "24a19f05c7757fdf1257e1286f3b8708bdcf96a9af7feeceb1b193f6f50c4b78",
        "830759295276e21a96baaa5f0cf7ce98fe09d2095f50a4f6be80a17b895bf381",
    ]


@given(operation=operations, actor=words, text=words)
def test_a_requests_hash_leaves_out_its_actor_and_its_texts(operation: Claimable, actor: str, text: str) -> None:
    changed: dict[str, Any] = {"description": text} if hasattr(operation, "description") else {}

    assert request_hash(replace(operation, actor=actor, **changed)) == request_hash(operation)


@given(grant=grants, hours=st.integers(-12, 14))
def test_one_instant_hashes_alike_in_whatever_offset_it_was_written(grant: Grant, hours: int) -> None:
    assume(isinstance(grant.validity, datetime))
    assert isinstance(grant.validity, datetime)
    elsewhere = grant.validity.astimezone(timezone(timedelta(hours=hours)))

    assert request_hash(replace(grant, validity=elsewhere)) == request_hash(grant)


@given(first=operations, second=operations)
def test_two_requests_hash_alike_only_if_they_ask_the_same(first: Claimable, second: Claimable) -> None:
    assert (request_hash(first) == request_hash(second)) == (as_requested(first) == as_requested(second))


@given(
    first=debits,
    second=debits,
    name=st.sampled_from([field.name for field in fields(Debit) if field.name not in OUTSIDE_HASH]),
)
def test_every_field_of_a_debit_counts(first: Debit, second: Debit, name: str) -> None:
    assume(getattr(first, name) != getattr(second, name))

    assert request_hash(replace(first, **{name: getattr(second, name)})) != request_hash(first)


@given(
    first=grants,
    second=grants,
    name=st.sampled_from([field.name for field in fields(Grant) if field.name not in OUTSIDE_HASH]),
)
def test_every_field_of_a_grant_counts(first: Grant, second: Grant, name: str) -> None:
    assume(getattr(first, name) != getattr(second, name))

    assert request_hash(replace(first, **{name: getattr(second, name)})) != request_hash(first)


@given(
    first=voids,
    second=voids,
    name=st.sampled_from([field.name for field in fields(Void) if field.name not in OUTSIDE_HASH]),
)
def test_every_field_of_a_void_counts(first: Void, second: Void, name: str) -> None:
    assume(getattr(first, name) != getattr(second, name))

    assert request_hash(replace(first, **{name: getattr(second, name)})) != request_hash(first)
