"""The catalog: every version kept, one successor each."""

from dataclasses import replace
from hashlib import sha256
from importlib.resources import files

import pytest

from prepaid.core.catalog import Catalog, Feature, Pack, Plan
from prepaid.core.errors import Busy, InvalidRequest, VersionConflict
from prepaid.store.catalog import (
    CatalogCache,
    first_catalog,
    read_catalog,
    read_catalog_version,
)
from prepaid.use_cases.administering import replace_catalog
from tests.support.store_driver import NOW, QUOTA_100, Desk, FakeTime, stored
from tests.support.wire import Wire, answer_lost, no_answer

FIRST_SHA256 = "5c564ac4a480efe96bf85a2b5fc85a45edb651574acc246688afe345d732c268"


def with_feature(catalog: Catalog, name: str) -> Catalog:
    return replace(catalog, features=(*catalog.features, Feature(id=name, price=2, quota_backed=False)))


def succeed(desk: Desk, successor: Catalog, expected_version: int) -> Catalog:
    return replace_catalog(desk.table, successor, expected_version=expected_version, now=NOW)


def test_the_first_version_is_never_edited() -> None:
    """Entries name it for ever. Change the catalog by putting a successor, not here."""
    text = files("prepaid.core").joinpath("first_catalog.json").read_bytes()

    assert sha256(text).hexdigest() == FIRST_SHA256


def test_a_fresh_table_sells_the_first_version(desk: Desk) -> None:
    assert read_catalog(desk.table) == first_catalog()
    assert read_catalog_version(desk.table, 1).version == 1
    assert stored(desk.table) == {}


def test_every_version_is_kept_and_the_newest_is_current(desk: Desk) -> None:
    second = succeed(desk, with_feature(first_catalog(), "two"), 1)
    third = succeed(desk, with_feature(second, "three"), 2)

    assert (second.version, third.version) == (2, 3)
    assert read_catalog(desk.table) == third
    assert [read_catalog_version(desk.table, number) for number in (1, 2, 3)] == [
        first_catalog(),
        second,
        third,
    ]
    assert sorted(sort for _, sort in stored(desk.table)) == ["CURRENT", "V#000002", "V#000003"]


def test_a_version_is_read_back_as_it_was_put_whatever_it_holds(desk: Desk) -> None:
    first = first_catalog()
    full = replace(
        first,
        features=(*first.features, Feature(id="video", price=0, quota_backed=False)),
        plans=(*first.plans, Plan(id="mega", quota=10**9)),
        packs=(
            *first.packs,
            Pack(id="old", credits=1, amount=0, currency="usd", valid_months=120, active=False),
        ),
    )

    put = succeed(desk, full, 1)

    assert put == replace(full, version=2)
    assert read_catalog(desk.table) == put


@pytest.mark.parametrize("expected_version", [0, 1, 3, 99])
def test_a_replacement_of_another_version_is_refused(desk: Desk, expected_version: int) -> None:
    succeed(desk, with_feature(first_catalog(), "two"), 1)
    before = stored(desk.table)

    with pytest.raises(VersionConflict) as conflict:
        succeed(desk, with_feature(first_catalog(), "other"), expected_version)

    assert conflict.value.current == 2
    assert stored(desk.table) == before


def test_a_retried_replacement_succeeds_and_writes_nothing(desk: Desk) -> None:
    answer = succeed(desk, with_feature(first_catalog(), "two"), 1)
    before = stored(desk.table)

    repeat = succeed(desk, with_feature(first_catalog(), "two"), 1)

    assert repeat == answer
    assert stored(desk.table) == before


def test_a_repeat_after_a_further_version_is_told_of_it(desk: Desk) -> None:
    second = succeed(desk, with_feature(first_catalog(), "two"), 1)
    succeed(desk, with_feature(second, "three"), 2)

    with pytest.raises(VersionConflict) as conflict:
        succeed(desk, with_feature(first_catalog(), "two"), 1)

    assert conflict.value.current == 3


def test_a_successor_whose_answer_was_lost_is_there_when_asked_again(desk: Desk, wire: Wire) -> None:
    wire.plan("TransactWriteItems", answer_lost)
    wire.always("GetItem", no_answer)
    wire.always("TransactWriteItems", no_answer)
    wire.plan("GetItem", lambda _: None)
    desk = desk.with_deadline(FakeTime().deadline(0.001))
    successor = with_feature(first_catalog(), "two")
    with pytest.raises(Busy):
        replace_catalog(desk.table, successor, expected_version=1, now=NOW)
    wire.calm()

    answer = succeed(desk, successor, 1)

    assert answer.version == 2
    assert sorted(sort for _, sort in stored(desk.table)) == ["CURRENT", "V#000002"]


@pytest.mark.parametrize("kind", ["features", "plans", "packs"])
def test_what_accounts_or_purchases_may_point_to_is_not_removed(desk: Desk, kind: str) -> None:
    first = first_catalog()

    with pytest.raises(InvalidRequest) as refused:
        succeed(desk, replace(first, **{kind: getattr(first, kind)[1:]}), 1)

    assert [name for name, _ in refused.value.errors] == [kind]
    assert stored(desk.table) == {}


def test_prices_and_sales_may_change(desk: Desk) -> None:
    first = first_catalog()
    packs = tuple(replace(pack, active=False) for pack in first.packs)
    features = tuple(replace(feature, price=5) for feature in first.features)

    changed = succeed(desk, replace(first, packs=packs, features=features), 1)

    assert changed.packs_on_sale == ()
    assert changed.feature("sticker").price == 5


def test_entries_name_the_version_they_were_written_under(desk: Desk) -> None:
    desk.open(credits=10)
    second = succeed(desk, with_feature(first_catalog(), "two"), 1)
    later = Desk(desk.table, catalog=second)

    entry = later.debit(1, feature="two").entries[-1]

    assert entry.catalog_version == 2
    assert entry.credits == -2
    assert read_catalog_version(desk.table, entry.catalog_version).feature("two").price == 2


def test_the_catalog_is_read_again_only_when_its_seconds_pass(desk: Desk, wire: Wire) -> None:
    time = FakeTime()
    current = CatalogCache(time.clock, seconds=30)
    assert current(desk.table).version == 1
    succeed(desk, with_feature(first_catalog(), "two"), 1)
    wire.forget()

    time.now += 29.9
    assert current(desk.table).version == 1
    assert wire.calls == []

    time.now += 0.1
    assert current(desk.table).version == 2
    assert current(desk.table).version == 2
    assert wire.calls == ["GetItem"]


def test_a_catalog_that_could_not_be_read_is_asked_for_again(desk: Desk, wire: Wire) -> None:
    current = CatalogCache(FakeTime().clock, seconds=30)
    wire.always("GetItem", no_answer)
    with pytest.raises(Busy):
        current(desk.with_deadline(FakeTime().deadline(0.1)).table)
    wire.calm()

    assert current(desk.table).version == 1


def test_a_debit_with_an_older_catalog_than_its_plan_succeeds(desk: Desk) -> None:
    first = first_catalog()
    second = succeed(desk, replace(first, plans=(*first.plans, Plan(id="mega", quota=5000))), 1)
    Desk(desk.table, catalog=second).put_account(terms=replace(QUOTA_100, plan="mega"))

    # A warm function that read the catalog seconds ago.
    done = Desk(desk.table, catalog=first).debit(1, feature="ai_service", key="k1")

    assert done.entries[-1].quota_remaining == 4999
    assert done.entries[-1].catalog_version == 2
