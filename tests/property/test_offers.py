"""The offers of any packs."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from prepaid.core.catalog import Pack
from prepaid.core.offers import offers
from tests.support.core_builders import a_catalog

packs = st.lists(
    st.builds(
        Pack,
        id=st.text("abcdef", min_size=1, max_size=3),
        credits=st.integers(1, 6),
        amount=st.integers(0, 600),
        currency=st.sampled_from(["brl", "usd"]),
        valid_months=st.just(12),
        active=st.sampled_from([True, True, False]),
    ),
    unique_by=lambda pack: pack.id,
    max_size=6,
)


@given(packs=packs)
def test_offers_promise_no_more_than_a_customer_can_check(packs: list[Pack]) -> None:
    shown = offers(a_catalog(packs=packs))

    assert {offer.pack for offer in shown} == {pack for pack in packs if pack.active}
    assert [offer.pack.credits for offer in shown] == sorted(offer.pack.credits for offer in shown)
    for currency in ("brl", "usd"):
        rivals = [offer for offer in shown if offer.pack.currency == currency]
        saves = any(offer.price_per_credit < rivals[0].price_per_credit for offer in rivals)
        assert sum(offer.best_value for offer in rivals) == (1 if saves else 0)
        for offer in rivals:
            each, base = Fraction(offer.pack.amount, offer.pack.credits), rivals[0].price_per_credit
            assert offer.price_per_credit == each
            assert 0 <= offer.saving_percent <= 100
            # base * (1 - saving %) >= each: the promised saving is kept, and one per cent more would not be.
            assert base * (100 - offer.saving_percent) >= each * 100 or offer.saving_percent == 0
            assert base == 0 or base * (99 - offer.saving_percent) < each * 100
            if offer.best_value:
                assert each == min(rival.price_per_credit for rival in rivals)


@given(packs=packs, missing=st.integers(1, 8), currency=st.sampled_from(["brl", "usd"]))
def test_the_suggested_pack_is_the_smallest_that_covers_the_need(
    packs: list[Pack], missing: int, currency: str
) -> None:
    suggested = a_catalog(packs=packs).smallest_pack_covering(missing, currency)

    fitting = [pack.credits for pack in packs if pack.active and pack.currency == currency and pack.credits >= missing]
    assert (suggested.credits if suggested else None) == min(fitting, default=None)
    assert suggested is None or (suggested.active and suggested.currency == currency)
