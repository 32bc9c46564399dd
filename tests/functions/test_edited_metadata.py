"""A session's metadata is edited at Stripe: the current metadata counts, and no payment is lost."""

from datetime import timedelta

import pytest

from tests.support.handlers import Clock, Output
from tests.support.in_process import Service
from tests.support.reconciliation import NOTHING, Run, available, forget_events, run
from tests.support.store_driver import types
from tests.support.stripe_purchases import Storefront

__all__ = ["run"]

GRANTED = ["plan_change", "purchase"]
UNKNOWN = "pur_" + "0" * 20
# The edited metadata, None for a removed name; and the fields that then don't match the record.
EDITS: dict[str, tuple[dict[str, str | None], list[str]]] = {
    "another account": ({"prepaid_account": "zoo"}, ["account"]),
    "no account": ({"prepaid_account": None}, ["account"]),
    "an unknown purchase": ({"prepaid_purchase": UNKNOWN}, ["purchase"]),
    "no purchase": ({"prepaid_purchase": None}, ["purchase"]),
    "account and purchase": ({"prepaid_account": "zoo", "prepaid_purchase": UNKNOWN}, ["account", "purchase"]),
    "nothing": (
        {"prepaid_account": None, "prepaid_purchase": None, "prepaid_stack": None},
        ["account", "purchase"],
    ),
}


def edit(storefront: Storefront, session: str | None, changes: dict[str, str | None]) -> dict[str, str]:
    """Change the session's metadata; returns what it was."""
    metadata = storefront.session(session or "")["metadata"]
    before = dict(metadata)
    for name, value in changes.items():
        if value is None:
            del metadata[name]
        else:
            metadata[name] = value
    return before


@pytest.fixture
def zoo(service: Service) -> None:
    """Another account, which must get nothing."""
    service.open("zoo")


@pytest.mark.usefixtures("zoo")
@pytest.mark.parametrize("again", ["the same event", "the reconciliation", "the last check"])
@pytest.mark.parametrize(("changes", "wrong"), EDITS.values(), ids=EDITS)
def test_wrong_metadata_leaves_a_purchase_paid_until_corrected(
    storefront: Storefront, run: Run, service: Service, output: Output, clock: Clock,
    changes: dict[str, str | None], wrong: list[str], again: str,
) -> None:  # fmt: skip
    purchase = storefront.buy()
    right = edit(storefront, purchase.session, changes)
    [event] = storefront.pay(purchase)

    storefront.deliver(event)

    assert storefront.purchase(purchase).state == "paid"
    [row] = [item for key, item in service.stored().items() if key[0].startswith("QUARANTINE#")]
    assert [name["S"] for name in row["mismatches"]["L"]] == wrong
    assert (row["account"]["S"], row["purchase"]["S"]) == ("acme", purchase.id)
    storefront.session(purchase.session or "")["metadata"] |= right
    if again == "the same event":
        storefront.deliver(event)
    elif again == "the reconciliation":
        assert run() == NOTHING | {"healed": 1}
    else:
        forget_events(storefront)
        clock.now += timedelta(days=10)
        assert run() == NOTHING | {"healed": 1}
    assert storefront.purchase(purchase).state == "granted"
    assert types(service.stored()) == GRANTED
    assert (available(service), available(service, "zoo")) == (100, 0)
    assert output.metric("PurchaseQuarantined") == [1]


@pytest.mark.usefixtures("zoo")
@pytest.mark.parametrize("changes", [changes for changes, _ in EDITS.values()], ids=EDITS)
def test_metadata_corrected_before_its_event_grants_at_once(
    storefront: Storefront, service: Service, output: Output, changes: dict[str, str | None]
) -> None:
    """The event is created while the metadata is wrong, and arrives once it is corrected."""
    purchase = storefront.buy()
    right = edit(storefront, purchase.session, changes)
    [event] = storefront.pay(purchase)
    storefront.session(purchase.session or "")["metadata"] |= right

    storefront.deliver(event)

    assert storefront.purchase(purchase).state == "granted"
    assert (available(service), available(service, "zoo")) == (100, 0)
    assert output.metric("PurchaseQuarantined") == []


@pytest.mark.usefixtures("zoo")
@pytest.mark.parametrize("changes", [changes for changes, _ in EDITS.values()], ids=EDITS)
def test_an_unpaid_page_is_matched_by_its_current_metadata(
    storefront: Storefront, changes: dict[str, str | None]
) -> None:
    """No payment names the purchase: only the session does."""
    purchase = storefront.buy()
    right = edit(storefront, purchase.session, changes)
    *_, event = storefront.happen(purchase, "expire")
    storefront.session(purchase.session or "")["metadata"] |= right

    storefront.deliver(event)

    assert storefront.purchase(purchase).state == "expired"


@pytest.mark.usefixtures("zoo")
def test_metadata_edited_after_the_event_grants_nothing(storefront: Storefront, service: Service) -> None:
    """The event is created while the metadata is still right."""
    purchase = storefront.buy()
    [event] = storefront.pay(purchase)
    edit(storefront, purchase.session, {"prepaid_account": "zoo"})

    storefront.deliver(event)

    assert storefront.purchase(purchase).state == "paid"
    assert (available(service), available(service, "zoo")) == (0, 0)


def test_a_refund_is_followed_to_a_page_that_lost_its_metadata(storefront: Storefront, service: Service) -> None:
    """Nothing was granted yet: the refund's event alone leads to the purchase, which waits for a person."""
    purchase = storefront.buy()
    edit(storefront, purchase.session, EDITS["nothing"][0])
    storefront.pay(purchase)

    storefront.deliver_all(storefront.refund(purchase))

    assert storefront.purchase(purchase).state == "paid"
    assert types(service.stored()) == ["plan_change"]
