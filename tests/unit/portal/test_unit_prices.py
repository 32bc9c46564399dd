"""Prices per credit, as each language writes them."""

from fractions import Fraction

import pytest

from prepaid.portal.formats import unit_price


@pytest.mark.parametrize(
    ("amount", "currency", "language", "expected"),
    [
        (Fraction(34990, 1000), "brl", "pt-BR", "R$\u00a00,35"),
        (Fraction(4990, 100), "brl", "es", "R$\u00a00,50"),
        (Fraction(34990, 1000), "brl", "en", "R$0.35"),
        (Fraction(9), "brl", "pt-BR", "R$\u00a00,090"),
        (Fraction(4, 10), "usd", "en", "US$0.0040"),
        (Fraction(1, 3000), "usd", "pt-BR", "US$\u00a00,000003"),
        (Fraction(150), "jpy", "en", "JPY\u00a0150"),
        (Fraction(3, 2), "jpy", "pt-BR", "JPY\u00a01,5"),
        (Fraction(123456789), "brl", "pt-BR", "R$\u00a01.234.567,89"),
        (Fraction(0), "brl", "pt-BR", "R$\u00a00,00"),
    ],
)
def test_a_price_per_credit_has_two_significant_digits(
    amount: Fraction, currency: str, language: str, expected: str
) -> None:
    assert unit_price(amount, currency, language) == expected
