"""The catalog: what is sold, what it costs, how packs are offered."""

import json
from dataclasses import replace
from fractions import Fraction
from importlib.resources import files
from itertools import pairwise

import pytest

from prepaid.core.catalog import Catalog, Feature, Pack, Plan, is_successor, with_retired
from prepaid.core.errors import CurrencyMismatch, InvalidRequest
from prepaid.core.languages import LANGUAGES
from prepaid.core.offers import Offer, check_prices, offers, offers_in, price_text
from tests.support.core_builders import AI_SERVICE, CATALOG, PACKS, STICKER, a_catalog, a_pack


def shown(catalog: Catalog) -> dict[str, Offer]:
    return {offer.pack.id: offer for offer in offers(catalog)}


def test_the_catalog_that_ships_has_the_promised_features_and_plans() -> None:
    shipped = json.loads((files("prepaid.core") / "first_catalog.json").read_text())

    assert [(item["id"], item["price"]) for item in shipped["features"]] == [("sticker", 1), ("ai_service", 1)]
    assert all(
        {"pt-BR", "en", "es"} <= set(item["titles"]) <= set(LANGUAGES)
        for item in shipped["features"] + shipped["plans"]
    )
    assert {plan["id"]: plan["quotas"] for plan in shipped["plans"]} == {
        "none": {},
        "individual": {"ai_service": 100},
        "trio": {"ai_service": 300},
        "team": {"ai_service": 500},
        "scale": {"ai_service": 1000},
    }
    assert {pack["valid_months"] for pack in shipped["packs"]} == {12}


def test_in_our_first_catalog_larger_packs_cost_less_per_credit() -> None:
    shipped = json.loads((files("prepaid.core") / "first_catalog.json").read_text())

    packs = sorted(shipped["packs"], key=lambda pack: pack["credits"])
    prices = [Fraction(pack["amount"], pack["credits"]) for pack in packs]
    assert all(larger < smaller for smaller, larger in pairwise(prices))


def test_a_feature_is_found_by_its_id() -> None:
    assert CATALOG.active_feature("sticker") is STICKER
    assert CATALOG.active_feature("ai_service") is AI_SERVICE


def test_an_unknown_feature_is_refused_by_name() -> None:
    with pytest.raises(InvalidRequest) as refused:
        CATALOG.active_feature("hologram")

    assert refused.value.errors == (("feature", "no such feature: must be one of sticker, ai_service"),)


def test_a_plan_is_found_by_its_id() -> None:
    assert CATALOG.plan("trio") == Plan(id="trio", quotas={"ai_service": 300})


def test_an_unknown_plan_is_refused_by_name() -> None:
    with pytest.raises(InvalidRequest) as refused:
        CATALOG.plan("unlimited")

    assert refused.value.errors == (("plan", "no such plan: must be one of none, individual, trio, team, scale"),)


def test_a_quota_of_an_unlisted_feature_is_refused_by_name() -> None:
    plans = (Plan(id="trio", quotas={"ai_service": 3, "film": 0}), Plan(id="team", quotas={"hat": 1}))
    successor = a_catalog(version=2, features=(STICKER,), plans=plans)

    with pytest.raises(InvalidRequest) as refused:
        with_retired(successor, CATALOG)

    assert refused.value.errors == (
        ("plans.0.quotas.film", "no such feature: must be one of sticker, ai_service"),
        ("plans.1.quotas.hat", "no such feature: must be one of sticker, ai_service"),
    )


# Packs


def test_packs_on_sale_are_the_active_ones_smallest_first() -> None:
    small, large, retired = a_pack(50), a_pack(500), a_pack(100, active=False)

    assert a_catalog(packs=(large, retired, small)).packs_on_sale == (small, large)


def test_packs_of_one_size_have_one_order_however_listed() -> None:
    first, second = a_pack(50, pack_id="a"), a_pack(50, pack_id="b")

    assert a_catalog(packs=(first, second)).packs_on_sale == (first, second)
    assert a_catalog(packs=(second, first)).packs_on_sale == (first, second)


def test_the_smallest_pack_that_covers_what_is_missing_is_suggested() -> None:
    catalog = a_catalog(packs=(a_pack(500), a_pack(50), a_pack(100)))

    suggested = [catalog.smallest_pack_covering(credits, None) for credits in (1, 50, 51, 100, 101, 500)]
    assert [pack.credits for pack in suggested if pack] == [50, 50, 100, 100, 500, 500]


def test_no_pack_is_suggested_when_none_is_large_enough() -> None:
    assert CATALOG.smallest_pack_covering(1001, "brl") is None


def test_a_retired_pack_is_not_suggested() -> None:
    catalog = a_catalog(packs=(a_pack(50, active=False), a_pack(100)))

    assert catalog.smallest_pack_covering(10, "brl") == a_pack(100)


# Currencies


DOLLARS = (a_pack(20, 400, pack_id="usd-20", currency="usd"), a_pack(200, 3600, pack_id="usd-200", currency="usd"))
TWO_CURRENCIES = a_catalog(packs=(a_pack(50, active=False, currency="eur"), a_pack(100), *DOLLARS))


@pytest.mark.parametrize(
    ("currency", "packs"),
    [("brl", ["credits-100"]), ("usd", ["usd-20", "usd-200"]), (None, ["credits-100"]), ("eur", [])],
)
def test_packs_are_offered_in_the_accounts_currency_only(currency: str | None, packs: list[str]) -> None:
    assert [pack.id for pack in TWO_CURRENCIES.packs_in(currency)] == packs
    assert [offer.pack.id for offer in offers_in(TWO_CURRENCIES, currency)] == packs


def test_an_account_is_offered_the_packs_as_everybody_sees_them() -> None:
    assert offers_in(TWO_CURRENCIES, "usd") == offers(a_catalog(packs=DOLLARS))


def test_a_catalogs_currency_is_that_of_its_first_active_pack() -> None:
    assert TWO_CURRENCIES.currency == "brl"
    assert a_catalog(packs=(*DOLLARS, a_pack(1))).currency == "usd"
    assert a_catalog(packs=(a_pack(1, active=False),)).currency is None


@pytest.mark.parametrize("currency", ["brl", None])
def test_a_pack_in_another_currency_is_refused_with_valid_ones(currency: str | None) -> None:
    with pytest.raises(CurrencyMismatch) as refused:
        TWO_CURRENCIES.pack_on_sale("usd-20", currency)

    assert (refused.value.currency, refused.value.packs) == ("brl", ("credits-100",))


@pytest.mark.parametrize("pack", ["gold", "credits-50"])
def test_a_pack_not_on_sale_is_refused_with_those_of_a_currency(pack: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        TWO_CURRENCIES.pack_on_sale(pack, "usd")

    assert refused.value.errors == (("pack", "no such pack on sale: must be one of usd-20, usd-200"),)


# Offers


def test_an_offer_shows_the_exact_price_per_credit() -> None:
    assert shown(CATALOG)["credits-50"].price_per_credit == Fraction(2990, 50)
    assert shown(CATALOG)["credits-1000"].price_per_credit == Fraction(34990, 1000)


def test_an_offer_shows_its_saving_against_the_smallest_pack() -> None:
    # 59.8 centavos a credit against 49.9, 39.98 and 34.99: 16.55 %, 33.14 %, 41.48 %.
    assert {pack_id: offer.saving_percent for pack_id, offer in shown(CATALOG).items()} == {
        "credits-50": 0,
        "credits-100": 16,
        "credits-500": 33,
        "credits-1000": 41,
    }


def test_a_saving_is_rounded_down() -> None:
    catalog = a_catalog(packs=(a_pack(100, 10000), a_pack(1000, 50001)))

    assert shown(catalog)["credits-1000"].saving_percent == 49


def test_a_pack_that_costs_more_per_credit_saves_nothing() -> None:
    catalog = a_catalog(packs=(a_pack(100, 1000), a_pack(200, 4000)))

    assert shown(catalog)["credits-200"].saving_percent == 0


def test_packs_that_cost_nothing_save_nothing() -> None:
    catalog = a_catalog(packs=(a_pack(100, 0), a_pack(200, 0)))

    assert {offer.saving_percent for offer in offers(catalog)} == {0}


@pytest.mark.parametrize(
    ("amount", "credits", "text"),
    [
        (2990, 50, "59.8"),
        (4990, 100, "49.9"),
        (34990, 1000, "34.99"),
        (5000, 50, "100"),
        (100, 100, "1"),
        (1, 8, "0.125"),
        (1999, 7, "285.571428571"),
        (2, 3, "0.666666667"),
        (1, 2_000_000, "0.0000005"),
        (1, 1_000_000_000, "0.000000001"),
        (99_999_999, 1_000_000_000, "0.099999999"),
        (99_999_999, 1, "99999999"),
    ],
)
def test_a_price_per_credit_is_written_as_an_exact_decimal(amount: int, credits: int, text: str) -> None:
    assert price_text(Fraction(amount, credits)) == text


@pytest.mark.parametrize(("twice_billionths", "text"), [(1, "0.000000001"), (2, "0.000000001"), (3, "0.000000002")])
def test_a_longer_price_is_rounded_half_up(twice_billionths: int, text: str) -> None:
    assert price_text(Fraction(twice_billionths, 2_000_000_000)) == text


def test_the_pack_with_the_lowest_price_per_credit_is_the_best_value() -> None:
    catalog = a_catalog(packs=(a_pack(50, 5000), a_pack(100, 4000), a_pack(500, 25000)))

    assert {pack_id for pack_id, offer in shown(catalog).items() if offer.best_value} == {"credits-100"}


def test_a_single_pack_is_not_marked_as_best_value() -> None:
    assert not shown(a_catalog(packs=(a_pack(50), a_pack(100, active=False))))["credits-50"].best_value


def test_of_equally_priced_packs_the_smallest_is_the_best_value() -> None:
    """Equal per credit."""
    catalog = a_catalog(packs=(a_pack(500, 5000), a_pack(100, 1000), a_pack(50, 1000)))

    assert {pack_id for pack_id, offer in shown(catalog).items() if offer.best_value} == {"credits-100"}


def test_packs_are_compared_within_their_currency_only() -> None:
    reais = (a_pack(50, 5000, pack_id="brl-50"), a_pack(500, 25000, pack_id="brl-500"))

    offers_shown = shown(a_catalog(packs=(*reais, *DOLLARS)))

    assert {pack_id: offer.saving_percent for pack_id, offer in offers_shown.items()} == {
        "usd-20": 0,
        "brl-50": 0,
        "usd-200": 10,
        "brl-500": 50,
    }
    assert {pack_id for pack_id, offer in offers_shown.items() if offer.best_value} == {"brl-500", "usd-200"}


def test_offers_stand_smallest_first_and_retired_packs_are_not_shown() -> None:
    catalog = a_catalog(packs=(a_pack(500), a_pack(100, active=False), a_pack(50)))

    assert [offer.pack.credits for offer in offers(catalog)] == [50, 500]


def test_a_retired_pack_is_no_base_for_savings() -> None:
    catalog = a_catalog(packs=(a_pack(10, 10000, active=False), a_pack(50, 5000), a_pack(100, 5000)))

    assert shown(catalog)["credits-100"].saving_percent == 50


def test_a_catalog_without_packs_has_no_offers() -> None:
    assert offers(a_catalog(packs=())) == ()


# Successors


def test_a_successor_may_add_and_change_things() -> None:
    new = a_catalog(
        version=2,
        features=(*CATALOG.features, Feature(id="hologram", price=3)),
        plans=(*CATALOG.plans, Plan(id="chain", quotas={"ai_service": 5000})),
        packs=(*(replace(pack, amount=pack.amount + 100) for pack in PACKS), a_pack(5000)),
    )

    assert with_retired(new, CATALOG) == new
    assert is_successor(new, CATALOG)


def test_what_a_successor_leaves_out_is_retired() -> None:
    new = a_catalog(version=2, features=(AI_SERVICE,), plans=CATALOG.plans[2:], packs=PACKS[1:])

    complete = with_retired(new, CATALOG)

    assert complete.features == (AI_SERVICE, replace(STICKER, active=False))
    assert complete.plans == (*new.plans, *(replace(plan, active=False) for plan in CATALOG.plans[:2]))
    assert complete.packs == (*new.packs, replace(PACKS[0], active=False))


@pytest.mark.parametrize("kind", ["features", "plans", "packs"])
def test_a_version_that_lacks_an_id_is_no_successor(kind: str) -> None:
    assert not is_successor(replace(CATALOG, version=2, **{kind: getattr(CATALOG, kind)[1:]}), CATALOG)


def test_what_is_retired_stays_retired_until_it_is_named() -> None:
    second = with_retired(a_catalog(version=2, features=(AI_SERVICE,)), CATALOG)
    third = with_retired(a_catalog(version=3, features=(AI_SERVICE,)), second)
    fourth = with_retired(a_catalog(version=4, features=(STICKER, AI_SERVICE)), third)

    assert [feature.active for feature in third.features] == [True, False]
    assert fourth.features == (STICKER, AI_SERVICE)


def test_a_plan_left_out_keeps_its_quotas() -> None:
    """Also of features that are left out with it: the account's units are still named, and nothing can be spent."""
    new = a_catalog(version=2, features=(STICKER,), plans=(Plan(id="pro", quotas={"sticker": 50}),))

    retired = with_retired(new, CATALOG)

    assert retired.plan("trio") == Plan(id="trio", quotas={"ai_service": 300}, active=False)


def test_more_quotas_than_a_catalog_holds_are_refused() -> None:
    features = tuple(Feature(id=f"feature-{number}", price=1) for number in range(100))
    full = Plan(id="plan-1", quotas={feature.id: 1 for feature in features})
    plans = tuple(replace(full, id=f"plan-{number}") for number in range(10))
    old = a_catalog(features=features, plans=plans)

    assert with_retired(replace(old, version=2), old).plans == plans
    with pytest.raises(InvalidRequest) as refused:
        with_retired(replace(old, version=2, plans=(replace(full, id="plan-11"),)), old)

    assert refused.value.errors == (("plans", "1100 quotas with the retired plans, and 1000 is the most"),)


# Prices


def odd_prices(*packs: Pack) -> list[str]:
    try:
        check_prices(a_catalog(packs=packs))
    except InvalidRequest as refused:
        errors = refused.errors
    else:
        return []
    assert {field for field, _ in errors} == {"packs"}
    return [message for _, message in errors]


def test_the_prices_that_ship_and_those_of_the_tests_are_in_order() -> None:
    assert odd_prices(*PACKS) == []


def test_a_pack_cheaper_per_credit_than_a_larger_one_is_named() -> None:
    assert odd_prices(a_pack(100, 1000), a_pack(50, 499)) == [
        "credits-50 is cheaper per credit than the larger credits-100"
    ]


def test_an_equal_price_per_credit_is_no_mistake() -> None:
    assert odd_prices(a_pack(50, 500), a_pack(100, 1000), a_pack(1000, 9999)) == []


def test_a_mistake_of_less_than_a_cent_a_credit_is_found() -> None:
    assert odd_prices(a_pack(3, 1000), a_pack(10, 3334)) != []


def test_a_pack_is_compared_with_every_larger_one() -> None:
    # Ten for 1.00 beside a hundred for 9.00 and, with a longer life, for 11.00.
    small, large, longer = a_pack(10, 100), a_pack(100, 900), a_pack(100, 1100, pack_id="longer")

    assert odd_prices(small, large) == []
    assert odd_prices(small, large, longer) == ["credits-10 is cheaper per credit than the larger longer"]


def test_two_packs_of_one_size_may_differ_in_price() -> None:
    assert odd_prices(a_pack(100, 900), a_pack(100, 1100, pack_id="longer")) == []


def test_prices_of_two_currencies_are_not_compared() -> None:
    assert odd_prices(a_pack(50, 100, currency="usd"), a_pack(100, 1000), a_pack(200, 500, currency="usd")) != []
    assert odd_prices(a_pack(50, 100, currency="usd"), a_pack(100, 1000)) == []


def test_a_pack_that_is_retired_is_compared_with_none() -> None:
    assert odd_prices(a_pack(50, 1, active=False), a_pack(100, 1000)) == []
    assert odd_prices(a_pack(50, 499), a_pack(100, 1000, active=False)) == []


def test_every_mistake_is_named() -> None:
    named = odd_prices(a_pack(10, 10), a_pack(20, 40), a_pack(30, 90))

    assert len(named) == 3


def test_a_title_is_shown_in_the_language_or_in_another() -> None:
    titled = replace(STICKER, titles={"pt-BR": "Figurinha", "en": "Sticker"})
    catalog = replace(CATALOG, features=(titled,))

    assert catalog.feature_title("sticker", "en") == "Sticker"
    assert catalog.feature_title("sticker", "es") == "Figurinha"


def test_an_id_without_a_title_is_shown_in_words() -> None:
    assert CATALOG.feature_title("ai_service", "en") == "Ai service"
    assert CATALOG.feature_title("gone-long_ago", "en") == "Gone long ago"
    assert CATALOG.plan_title("trio", "en") == "Trio"
