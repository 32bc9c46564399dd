"""Entries as they are stored, and back; and the hash of a request, which must never change."""

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone

from hypothesis import assume, given
from hypothesis import strategies as st

from prepaid.core.account import Account, Lot
from prepaid.core.entry import Entry, EntryType, LotDraw, QuotaDraw
from prepaid.core.ids import lot_id
from prepaid.core.ledger import Debit, Grant, Void
from prepaid.store.items import GENESIS_HASH, entry_from_item, entry_to_item, request_hash
from tests.support.strategies import instants, lot_kinds, terms

at = instants(datetime(2020, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC))
numbers = st.integers(1, 10**12 - 1)
amounts = st.integers(1, 10**15)
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
ids = st.from_regex(r"[A-Za-z0-9_-]{1,40}", fullmatch=True)
entry_types = st.sampled_from(EntryType.__args__)  # type: ignore[attr-defined]

lots = st.builds(Lot, number=numbers, kind=lot_kinds, granted=amounts, remaining=amounts, granted_at=at, expires_at=at)
accounts = st.builds(
    Account,
    id=ids,
    number=numbers,
    at=at,
    terms=terms,
    quota_used=st.integers(0, 10**6),
    quota_renews_at=at,
    lots=st.lists(lots, max_size=5).map(tuple),
    owed=st.just(0) | amounts,
)
draws = st.one_of(
    st.builds(QuotaDraw, units=amounts),
    st.builds(LotDraw, lot=numbers.map(lot_id), credits=amounts | amounts.map(lambda n: -n), expires_at=at),
)
entries = st.builds(
    Entry,
    type=entry_types,
    credits=st.integers(-(10**15), 10**15),
    quota=st.integers(-(10**6), 10**6),
    owed=st.just(0) | st.integers(-(10**15), 10**15),
    quota_remaining=st.integers(0, 10**6),
    draws=st.lists(draws, max_size=4).map(tuple),
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
)
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
operations = st.one_of(debits, grants, voids)


@given(entry=entries)
def test_an_entry_comes_back_from_its_item_as_it_went_in(entry: Entry) -> None:
    assert entry_from_item(entry_to_item(entry, GENESIS_HASH)) == entry


@given(entry=entries, previous=st.binary(min_size=32, max_size=32))
def test_an_entrys_hash_depends_on_the_one_before_it(entry: Entry, previous: bytes) -> None:
    assume(previous != GENESIS_HASH)

    assert entry_to_item(entry, previous)["hash"] != entry_to_item(entry, GENESIS_HASH)["hash"]


def test_the_hash_of_a_debit_is_the_same_in_every_version() -> None:
    debit = Debit(actor="service", feature="sticker", quantity=2, customer="Rex ✂")

    assert request_hash(debit).hex() == "a6bf518cf9f96f4f2606210f69b1c8bc68bf4d8167f7a576e143eb45d7cc171e"


def test_the_hash_of_a_grant_is_the_same_in_every_version() -> None:
    grant = Grant(
        actor="administrator",
        kind="promotion",
        credits=50,
        validity=datetime(2026, 12, 31, 3, tzinfo=UTC),
        description="welcome",
    )

    assert request_hash(grant).hex() == "0bc5d89a90b86358880384099aad3ba11d95000f3209803f8e186c9a2c365c4b"


def test_the_hash_of_a_void_is_the_same_in_every_version() -> None:
    void = Void(actor="administrator", lot=2, credits=450_000, description="500,000 instead of 50,000")

    assert request_hash(void).hex() == "01491d5f05b418380686c357118e5769508783898f078fcf6d73d740c7d0c148"


@given(operation=operations, actor=words)
def test_a_requests_hash_leaves_out_its_actor(operation: Debit | Grant | Void, actor: str) -> None:
    assert request_hash(replace(operation, actor=actor)) == request_hash(operation)


@given(grant=grants, hours=st.integers(-12, 14))
def test_one_instant_hashes_alike_in_whatever_offset_it_was_written(grant: Grant, hours: int) -> None:
    assume(isinstance(grant.validity, datetime))
    assert isinstance(grant.validity, datetime)
    elsewhere = grant.validity.astimezone(timezone(timedelta(hours=hours)))

    assert request_hash(replace(grant, validity=elsewhere)) == request_hash(grant)


@given(first=operations, second=operations)
def test_two_requests_hash_alike_only_if_they_ask_the_same(
    first: Debit | Grant | Void, second: Debit | Grant | Void
) -> None:
    assert (request_hash(first) == request_hash(second)) == (replace(first, actor="") == replace(second, actor=""))


@given(
    first=debits, second=debits, name=st.sampled_from([field.name for field in fields(Debit) if field.name != "actor"])
)
def test_every_field_of_a_debit_counts(first: Debit, second: Debit, name: str) -> None:
    assume(getattr(first, name) != getattr(second, name))

    assert request_hash(replace(first, **{name: getattr(second, name)})) != request_hash(first)


@given(
    first=grants, second=grants, name=st.sampled_from([field.name for field in fields(Grant) if field.name != "actor"])
)
def test_every_field_of_a_grant_counts(first: Grant, second: Grant, name: str) -> None:
    assume(getattr(first, name) != getattr(second, name))

    assert request_hash(replace(first, **{name: getattr(second, name)})) != request_hash(first)


@given(first=voids, second=voids, name=st.sampled_from([field.name for field in fields(Void) if field.name != "actor"]))
def test_every_field_of_a_void_counts(first: Void, second: Void, name: str) -> None:
    assume(getattr(first, name) != getattr(second, name))

    assert request_hash(replace(first, **{name: getattr(second, name)})) != request_hash(first)
