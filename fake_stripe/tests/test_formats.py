"""Money and moments look as each language writes them."""

import pytest

from fake_stripe.pages.formats import day, language_of, moment, money


@pytest.mark.parametrize(
    ("amount", "currency", "language", "text"),
    [
        (123_456, "brl", "pt-BR", "R$\u00a01.234,56"),
        (123_456, "brl", "en", "R$1,234.56"),
        (123_456, "brl", "es", "1.234,56\u00a0BRL"),
        (12_345, "jpy", "en", "¥12,345"),
        (1_500, "kwd", "en", "KWD1.500"),
    ],
)
def test_an_amount_in_the_smallest_unit_is_shown_as_money(amount: int, currency: str, language: str, text: str) -> None:
    assert money(amount, currency, language) == text


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("pt-BR", "15 de jan. de 2027, 05:00"),
        ("en", "Jan 15, 2027, 5:00\u202fAM"),
        ("es", "15 ene 2027, 5:00"),
    ],
)
def test_a_moment_is_shown_in_sao_paulos_time(language: str, text: str) -> None:
    assert moment(1_800_000_000, language) == text


def test_the_day_changes_at_midnight_in_sao_paulo() -> None:
    midnight = 1_799_982_000

    assert (day(midnight - 1, "en"), day(midnight, "en")) == ("Jan 14, 2027", "Jan 15, 2027")


@pytest.mark.parametrize(
    ("locale", "language"),
    [("en-GB", "en"), ("es-419", "es"), ("pt", "pt-BR"), ("auto", "pt-BR"), ("", "pt-BR"), (None, "pt-BR")],
)
def test_other_languages_fall_back_to_portuguese(locale: str | None, language: str) -> None:
    assert language_of(locale) == language
