"""What a pack may cost, as Stripe documents its minimum charges and its currencies without or with three decimals."""

import pytest

from prepaid.core.catalog import check_amounts
from prepaid.core.currencies import (
    CURRENCIES,
    MINIMUM_AMOUNTS,
    STEPS,
    THREE_DECIMAL,
    ZERO_DECIMAL,
    amount_error,
    amount_text,
)
from prepaid.core.errors import InvalidRequest
from tests.support.core_builders import a_catalog, a_pack


def complaints(*packs: tuple[int, str, bool]) -> tuple[tuple[str, str], ...]:
    """The errors in packs. packs: of each its amount, its currency, and whether it is on sale."""
    offered = tuple(
        a_pack(100, amount, pack_id=f"pack-{place}", currency=currency, active=active)
        for place, (amount, currency, active) in enumerate(packs)
    )
    try:
        check_amounts(a_catalog(packs=offered))
    except InvalidRequest as error:
        return error.errors
    return ()


def test_the_prices_that_ship_can_be_paid() -> None:
    check_amounts(a_catalog())


@pytest.mark.parametrize(("currency", "minimum"), sorted(MINIMUM_AMOUNTS.items()))
def test_the_minimum_is_accepted_and_one_less_is_not(currency: str, minimum: int) -> None:
    assert amount_error(minimum, currency) is None
    assert amount_error(minimum - 1, currency) == (
        "amount",
        f"must be at least {minimum} minor units, which is {amount_text(minimum, currency)}",
    )


@pytest.mark.parametrize(
    ("currency", "minimum"), [("brl", 50), ("usd", 50), ("gbp", 30), ("huf", 17_500), ("mxn", 1000), ("jpy", 50)]
)
def test_minimums_as_stripe_documents_them(currency: str, minimum: int) -> None:
    assert MINIMUM_AMOUNTS[currency] == minimum


@pytest.mark.parametrize("currency", ["clp", "ars", "try"])
def test_any_amount_is_accepted_without_a_documented_minimum(currency: str) -> None:
    assert amount_error(1, currency) is None
    assert amount_error(0, currency) is not None


@pytest.mark.parametrize("currency", ["zzz", "xxx", "btc", "bgn", "hrk", "BRL", "br", "", "brl "])
def test_a_currency_that_stripe_does_not_support_is_rejected(currency: str) -> None:
    assert amount_error(1_000_000, currency) == ("currency", "is not supported by Stripe")


@pytest.mark.parametrize(
    ("amount", "currency", "fine"),
    [
        (5120, "kwd", True),
        (5124, "kwd", False),
        (500, "isk", True),
        (550, "isk", False),
        (500, "ugx", True),
        (501, "ugx", False),
        (501, "jpy", True),
    ],
)
def test_amounts_that_banks_cannot_transfer_are_rejected(amount: int, currency: str, fine: bool) -> None:
    assert (amount_error(amount, currency) is None) is fine


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (50, "brl", "0.50 BRL"),
        (4990, "brl", "49.90 BRL"),
        (1205, "usd", "12.05 USD"),
        (50, "jpy", "50 JPY"),
        (5120, "kwd", "5.120 KWD"),
    ],
)
def test_amounts_are_written_in_major_units(amount: int, currency: str, text: str) -> None:
    assert amount_text(amount, currency) == text


def test_every_listed_currency_is_supported() -> None:
    assert {*MINIMUM_AMOUNTS, *STEPS, *ZERO_DECIMAL, *THREE_DECIMAL} <= CURRENCIES
    assert all(len(currency) == 3 and currency.islower() for currency in CURRENCIES)


def test_each_error_names_the_position_of_its_pack() -> None:
    found = complaints((4990, "brl", True), (49, "brl", True), (4990, "zzz", True), (1, "jpy", True))
    assert [field for field, _ in found] == ["packs.1.amount", "packs.2.currency", "packs.3.amount"]


def test_a_retired_pack_is_not_checked() -> None:
    assert complaints((1, "brl", False), (4990, "zzz", False)) == ()
