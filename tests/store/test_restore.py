"""The worst day, as docs/disaster.md walks through it: a restored table, and what a restore forgets.

No emulator restores to an earlier time. So the table is copied as it was at the cut, with a part of the transaction
that was being written: a restore may hold some changes of a recent transaction and not the others.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args
from uuid import uuid4

import pytest

from local import verify
from prepaid.core.calendar import floor_to_millisecond
from prepaid.store import keys
from prepaid.store.dynamodb import Table
from prepaid.use_cases.verifying.findings import Code
from tests.support.api import CONSUME, GRANT, Answer
from tests.support.gateway_events import Context
from tests.support.handlers import Clock
from tests.support.iam_rights import acting_as
from tests.support.in_process import Service
from tests.support.reconciliation import Run, available
from tests.support.store_driver import Stored, quarantined, stored
from tests.support.stripe_purchases import Storefront
from tests.support.template import table_schema

type Rows = set[tuple[str, str]]
type Verify = Callable[..., set[str]]

HOUR = timedelta(hours=1)
SOUND: set[str] = set()


@pytest.fixture(autouse=True)
def _today(clock: Clock) -> None:
    """`make verify` reads the real time. Nothing here happens more than an hour before or after it."""
    clock.now = floor_to_millisecond(datetime.now(UTC) - timedelta(minutes=30))


@pytest.fixture
def verify_by_hand(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Verify:
    """`make verify` at a table: the codes of its findings."""
    monkeypatch.setattr("boto3.client", lambda *_, **__: service.table.client)
    limits = verify.Limits(folder=tmp_path, draw_seconds=0.001)

    def run(table: Table, *more: str) -> set[str]:
        code = verify.main(["--table", table.name, *more], limits)
        lines = capsys.readouterr().out.splitlines()
        codes = {line.split()[0] for line in lines if line.split()[0] in get_args(Code)}
        assert code == bool(codes)
        return codes

    return run


@contextmanager
def written(service: Service) -> Iterator[Rows]:
    """The keys of the rows that are new or changed after a with block."""
    before, rows = service.stored(), set[tuple[str, str]]()
    yield rows
    rows |= {key for key, item in service.stored().items() if before.get(key) != item}


def restored(service: Service, rows: Stored) -> Table:
    """A new table with these rows, as a restore makes one."""
    table = replace(service.table, name=f"restored-{uuid4().hex}")
    table.client.create_table(TableName=table.name, **table_schema())
    for item in rows.values():
        table.client.put_item(TableName=table.name, Item=item)
    return table


def point_at(service: Service, table: Table) -> Service:
    """The stack with ExistingTable: every function works on that table."""
    service.functions.change(table=table)
    service.table = table
    return service


def delete(table: Table, rows: Rows) -> None:
    for partition, sort in rows:
        table.client.delete_item(TableName=table.name, Key={"PK": {"S": partition}, "SK": {"S": sort}})


def found_by_schedule(service: Service) -> int:
    with acting_as("verify"):
        return int(service.functions["verify"]({}, Context(remaining=900_000))["found"])


# The platform's consumptions by key: units, and the customer whom it names.
SENT: dict[str, dict[str, Any]] = {
    "before": {"quantity": 1, "customer": "Maria"},
    "half": {"quantity": 2},
    "after": {"quantity": 3},
}


def spend(service: Service, key: str) -> Answer:
    """A consumption as the platform sends it, the first time and each time again."""
    answer = service(CONSUME, json={"feature": "sticker", **SENT[key]}, key=key)
    assert answer.status == 201, answer
    return answer


def test_the_worst_day(
    storefront: Storefront,
    service: Service,
    run: Run,
    clock: Clock,
    verify_by_hand: Verify,
) -> None:
    service.give(50)
    assert spend(service, "before").status == 201
    kept, unpaid = storefront.buy(), storefront.buy("credits-50")
    storefront.deliver_all(storefront.pay(kept))
    assert run()["finished"]
    cut = service.stored()
    with written(service) as half:
        spend(service, "half")
    torn = {key: item for key, item in service.stored().items() if key in half and not key[0].startswith("CLAIM#")}
    # After the cut: a paid page of a purchase that survives, one that is forgotten, a refund, a debit, an erasure.
    clock.now += timedelta(minutes=5)
    storefront.pay(unpaid)
    lost = storefront.buy()
    storefront.deliver_all(storefront.pay(lost))
    storefront.deliver_all(storefront.refund(kept, 2495))
    spend(service, "after")
    assert service.erase("Maria", key="forget-maria").body["entries"] == 1

    # 1. Restore, and verify before anything writes to it. Without RESTORED=1 the newest hour would pass.
    table = restored(service, cut | torn)
    assert verify_by_hand(restored(service, cut | torn)) == SOUND
    assert verify_by_hand(table, "--restored") == {"claim_missing"}
    # 2. Take back the half transaction: whoever made it retries with the same key.
    delete(table, set(torn))
    assert verify_by_hand(table, "--restored") == SOUND
    # 3. Point the stack at it.
    point_at(service, table)
    assert available(service) == 50 - 1 + 100
    # 4. Reconcile over what it forgot.
    clock.now += HOUR
    result = run()
    assert (result["healed"], result["quarantined"], result["finished"]) == (2, 1, True)
    assert available(service) == 50 - 1 + 100 + 50 - 50
    assert [wrong for _, wrong in quarantined(service.stored())] == [["unknown_purchase"]]
    # 5. Decide about what was paid and has no record: here, a grant, once per payment.
    payment = {"credits": 100, "kind": "adjustment", "reason": "Paid before the restore", "valid_months": 12}
    for _ in range(2):
        assert service(GRANT, json=payment, key=f"restored-{lost.id}").status == 201
    # 6. The platform sends everything since the cut again, with the same keys.
    assert {key: spend(service, key).replayed for key in SENT} == {"before": True, "half": False, "after": False}
    assert available(service) == 50 - 1 + 100 + 50 - 50 + 100 - 2 - 3
    # 7. Erase again what came back.
    assert "Maria" in str(service.stored())
    assert service.erase("Maria", key="forget-maria").body["entries"] == 1
    assert "Maria" not in str(service.stored())

    assert verify_by_hand(table, "--restored") == SOUND
    clock.now += 2 * HOUR
    assert found_by_schedule(service) == 0


@pytest.mark.parametrize("lost_first", [True, False])
def test_every_half_of_a_debit_is_found_and_can_be_taken_back(
    service: Service, verify_by_hand: Verify, lost_first: bool
) -> None:
    service.open(credits=50)
    before = service.stored()
    with written(service) as transaction:
        service.spend(2, key="half")
    whole = service.stored()
    half = set(sorted(transaction)[:1] if lost_first else sorted(transaction)[1:])
    table = restored(service, {key: item for key, item in whole.items() if key not in half})

    assert len(transaction) == 2
    assert verify_by_hand(table, "--restored") == {"claim_dangling" if lost_first else "claim_missing"}

    delete(table, transaction - half)
    assert verify_by_hand(table, "--restored") == SOUND
    assert stored(table) == before
    assert point_at(service, table).spend(2, key="half").replayed is False


def test_every_half_of_a_paid_purchase_is_found(
    storefront: Storefront, service: Service, verify_by_hand: Verify
) -> None:
    """A grant changes the purchase's record too, so the earlier record can't be told from the later one: the table is
    restored once more, some seconds earlier, and is whole."""
    purchase = storefront.buy()
    earlier = service.stored()
    with written(service) as transaction:
        storefront.deliver_all(storefront.pay(purchase))
    whole = service.stored()
    assert len(transaction) == 5

    for row in sorted(transaction):
        torn = {key: item for key, item in whole.items() if key != row}
        torn |= {row: earlier[row]} if row in earlier else {}
        found = verify_by_hand(restored(service, torn), "--restored")
        # A check that is missing is made up for by Stripe's own events.
        assert (found == SOUND) == (row[0] == keys.PENDING_CHECKS), row
    table = restored(service, earlier)

    assert verify_by_hand(table, "--restored") == SOUND


def test_a_restore_forgets_no_paid_purchase_whose_record_it_has(
    storefront: Storefront, service: Service, run: Run, clock: Clock
) -> None:
    """However long the run that the table remembers is past, within the 30 days for which Stripe keeps events."""
    purchase = storefront.buy()
    assert run()["finished"]
    cut = service.stored()
    storefront.deliver_all(storefront.pay(purchase))
    clock.now += timedelta(days=9)
    assert run()["finished"]
    assert available(service) == 100

    point_at(service, restored(service, cut))

    assert available(service) == 0
    assert run()["healed"] == 1
    assert available(service) == 100


def test_a_code_changed_after_the_cut_is_the_old_one_again(service: Service, clock: Clock) -> None:
    """So a pepper is kept for as long as a table may be restored that has digests under it."""
    service.open()
    service.set_code()
    cut = service.stored()
    rotated: Any = service.codes_of("checkout")
    service.functions.change("checkout", codes=lambda _: replace(rotated, peppers=replace_with_second(rotated.peppers)))
    assert service.try_code().status == 201
    assert any("pepper" in item for item in service.stored().values())

    point_at(service, restored(service, cut))

    assert service.try_code().status == 201


def replace_with_second(peppers: Any) -> Any:
    return replace(peppers, values={**peppers.values, 2: "second"})
