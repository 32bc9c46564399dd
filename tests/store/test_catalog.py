"""The catalog: every version kept, one successor each."""

from dataclasses import replace
from hashlib import sha256
from importlib.resources import files
from typing import Any

import pytest

from prepaid.core.catalog import MAX_IDS, MAX_QUOTAS, Catalog, Feature, Pack, Plan
from prepaid.core.errors import Busy, VersionConflict
from prepaid.core.languages import LANGUAGES
from prepaid.store.catalog import (
    CatalogCache,
    first_catalog,
    read_catalog,
    read_catalog_version,
    write_catalog,
)
from prepaid.use_cases.administering import replace_catalog
from tests.support.store_driver import NOW, QUOTA_100, FakeTime, StoreDriver, stored
from tests.support.wire import Wire, answer_lost, no_answer

FIRST_SHA256 = "bc808c82cb52b0366b23e52b53d7b4ec6d97c39a5824b03d00af4dc524b2d357"


def with_feature(catalog: Catalog, name: str) -> Catalog:
    return replace(catalog, features=(*catalog.features, Feature(id=name, price=2)))


def succeed(driver: StoreDriver, successor: Catalog, expected_version: int) -> Catalog:
    return replace_catalog(driver.table, successor, expected_version=expected_version, now=NOW)


def test_the_first_version_is_never_edited() -> None:
    """Entries name it permanently. Change the catalog by putting a successor, not here."""
    text = files("prepaid.core").joinpath("first_catalog.json").read_bytes()

    assert sha256(text).hexdigest() == FIRST_SHA256


def test_a_fresh_table_sells_the_first_version(driver: StoreDriver) -> None:
    assert read_catalog(driver.table) == first_catalog()
    assert read_catalog_version(driver.table, 1).version == 1
    assert stored(driver.table) == {}


def test_every_version_is_kept_and_the_newest_is_current(driver: StoreDriver) -> None:
    second = succeed(driver, with_feature(first_catalog(), "two"), 1)
    third = succeed(driver, with_feature(second, "three"), 2)

    assert (second.version, third.version) == (2, 3)
    assert read_catalog(driver.table) == third
    assert [read_catalog_version(driver.table, number) for number in (1, 2, 3)] == [
        first_catalog(),
        second,
        third,
    ]
    assert sorted(sort for _, sort in stored(driver.table)) == ["CURRENT", "V#000002", "V#000003"]


def test_a_version_is_read_back_as_it_was_put_whatever_it_holds(driver: StoreDriver) -> None:
    first = first_catalog()
    full = replace(
        first,
        features=(*first.features, Feature(id="video", price=0)),
        plans=(*first.plans, Plan(id="mega", quotas={"ai_service": 10**9})),
        packs=(
            *first.packs,
            Pack(id="old", credits=1, amount=0, currency="usd", valid_months=120, active=False),
        ),
    )

    put = succeed(driver, full, 1)

    assert put == replace(full, version=2)
    assert read_catalog(driver.table) == put


@pytest.mark.parametrize("expected_version", [0, 1, 3, 99])
def test_a_replacement_of_another_version_is_refused(driver: StoreDriver, expected_version: int) -> None:
    succeed(driver, with_feature(first_catalog(), "two"), 1)
    before = stored(driver.table)

    with pytest.raises(VersionConflict) as conflict:
        succeed(driver, with_feature(first_catalog(), "other"), expected_version)

    assert conflict.value.current == 2
    assert stored(driver.table) == before


def test_a_retried_replacement_succeeds_and_writes_nothing(driver: StoreDriver) -> None:
    answer = succeed(driver, with_feature(first_catalog(), "two"), 1)
    before = stored(driver.table)

    repeat = succeed(driver, with_feature(first_catalog(), "two"), 1)

    assert repeat == answer
    assert stored(driver.table) == before


def test_a_retry_after_a_further_version_is_rejected(driver: StoreDriver) -> None:
    second = succeed(driver, with_feature(first_catalog(), "two"), 1)
    succeed(driver, with_feature(second, "three"), 2)

    with pytest.raises(VersionConflict) as conflict:
        succeed(driver, with_feature(first_catalog(), "two"), 1)

    assert conflict.value.current == 3


def test_a_retry_after_a_lost_response_finds_its_version(driver: StoreDriver, wire: Wire) -> None:
    wire.plan("TransactWriteItems", answer_lost)
    wire.always("GetItem", no_answer)
    wire.always("TransactWriteItems", no_answer)
    wire.plan("GetItem", lambda _: None)
    driver = driver.with_deadline(FakeTime().deadline(0.001))
    successor = with_feature(first_catalog(), "two")
    with pytest.raises(Busy):
        replace_catalog(driver.table, successor, expected_version=1, now=NOW)
    wire.end_faults()

    answer = succeed(driver, successor, 1)

    assert answer.version == 2
    assert sorted(sort for _, sort in stored(driver.table)) == ["CURRENT", "V#000002"]


@pytest.mark.parametrize("kind", ["features", "plans", "packs"])
def test_what_a_replacement_leaves_out_is_kept_as_retired(driver: StoreDriver, kind: str) -> None:
    first = first_catalog()
    missing, *others = getattr(first, kind)
    change: Any = {kind: tuple(others)}

    put = succeed(driver, replace(first, **change), 1)

    assert getattr(put, kind) == (*others, replace(missing, active=False))
    assert read_catalog(driver.table) == put


def test_the_largest_catalog_fits_one_item(driver: StoreDriver) -> None:
    names = [f"{number:064}" for number in range(MAX_IDS)]
    titles = dict.fromkeys(LANGUAGES, "🐾" * 30)
    largest = Catalog(
        version=2,
        features=tuple(Feature(id=name, price=1_000_000, active=False, titles=titles) for name in names),
        plans=tuple(
            Plan(id=name, quotas=dict.fromkeys(names[: MAX_QUOTAS // MAX_IDS], 10**9), active=False, titles=titles)
            for name in names
        ),
        packs=tuple(
            Pack(id=name, credits=10**9, amount=99_999_999, currency="brl", valid_months=120, active=False)
            for name in names
        ),
    )

    write_catalog(driver.table, largest, NOW)

    assert read_catalog(driver.table) == largest


def test_prices_and_sales_may_change(driver: StoreDriver) -> None:
    first = first_catalog()
    packs = tuple(replace(pack, active=False) for pack in first.packs)
    features = tuple(replace(feature, price=5) for feature in first.features)

    changed = succeed(driver, replace(first, packs=packs, features=features), 1)

    assert changed.packs_on_sale == ()
    assert changed.active_feature("sticker").price == 5


def test_entries_name_the_version_they_were_written_under(driver: StoreDriver) -> None:
    driver.open(credits=10)
    second = succeed(driver, with_feature(first_catalog(), "two"), 1)
    later = StoreDriver(driver.table, catalog=second)

    entry = later.debit(1, feature="two").entries[-1]

    assert entry.catalog_version == 2
    assert entry.credits == -2
    assert read_catalog_version(driver.table, entry.catalog_version).active_feature("two").price == 2


def test_the_catalog_is_read_again_after_its_cache_time(driver: StoreDriver, wire: Wire) -> None:
    time = FakeTime()
    current = CatalogCache(time.clock, seconds=30)
    assert current(driver.table).version == 1
    succeed(driver, with_feature(first_catalog(), "two"), 1)
    wire.forget()

    time.now += 29.9
    assert current(driver.table).version == 1
    assert wire.calls == []

    time.now += 0.1
    assert current(driver.table).version == 2
    assert current(driver.table).version == 2
    assert wire.calls == ["GetItem"]


def test_a_failed_read_of_the_catalog_is_retried(driver: StoreDriver, wire: Wire) -> None:
    current = CatalogCache(FakeTime().clock, seconds=30)
    wire.always("GetItem", no_answer)
    with pytest.raises(Busy):
        current(driver.with_deadline(FakeTime().deadline(0.1)).table)
    wire.end_faults()

    assert current(driver.table).version == 1


def test_a_debit_with_an_older_catalog_than_its_plan_succeeds(driver: StoreDriver) -> None:
    first = first_catalog()
    second = succeed(driver, replace(first, plans=(*first.plans, Plan(id="mega", quotas={"ai_service": 5000}))), 1)
    StoreDriver(driver.table, catalog=second).put_account(terms=replace(QUOTA_100, plan="mega"))

    # A warm function that read the catalog seconds ago.
    done = StoreDriver(driver.table, catalog=first).debit(1, feature="ai_service", key="k1")

    assert done.entries[-1].quota_remaining == 4999
    assert done.entries[-1].catalog_version == 2
