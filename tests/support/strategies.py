"""Hypothesis strategies: zones with unusual clocks, lots that end together, instants at and next to every boundary."""

from datetime import UTC, datetime, timedelta
from zoneinfo import available_timezones

from hypothesis import strategies as st

from prepaid.core.account import Lot, LotKind, Terms
from prepaid.core.catalog import Catalog, Feature, Plan
from tests.support.core_builders import PLANS, SAO_PAULO, a_catalog, a_pack

START = datetime(2026, 1, 30, 12, tzinfo=UTC)
# No changes of clock, changes at midnight (Havana, Santiago), half hours, the largest offsets.
ZONES = (SAO_PAULO, "America/Havana", "America/Santiago", "Asia/Kathmandu", "Pacific/Kiritimati", "Pacific/Pago_Pago")
ALL_ZONES = tuple(sorted(available_timezones() - {"localtime", "posixrules", "Factory"}))
KINDS: tuple[LotKind, ...] = ("purchase", "promotion", "adjustment")
FEATURES = ("sticker", "ai_service", "film", "hello")

zones = st.sampled_from(ALL_ZONES)
lot_kinds = st.sampled_from(KINDS)
features = st.sampled_from(FEATURES)
anchor_days = st.one_of(st.sampled_from([1, 28, 29, 30, 31]), st.integers(1, 31))


def instants(first: datetime, last: datetime) -> st.SearchStrategy[datetime]:
    """Whole milliseconds, as the ledger keeps them."""
    return st.integers(0, (last - first) // timedelta(milliseconds=1)).map(
        lambda milliseconds: first + timedelta(milliseconds=milliseconds)
    )


terms = st.builds(
    Terms,
    plan=st.sampled_from([plan.id for plan in PLANS]),
    ai_enabled=st.sampled_from([True, True, True, False]),
    quota_anchor_day=anchor_days,
    time_zone=st.sampled_from(ZONES),
    currency=st.sampled_from(["brl", "usd", None]),
    low_credit_threshold=st.sampled_from([10, 10, 0, 1_000_000_000]),
    status=st.sampled_from(["active"] * 8 + ["frozen", "closed"]),
)


@st.composite
def catalogs(draw: st.DrawFn, version: int = 1) -> Catalog:
    """Prices, quotas and packs as a version may have them; quotas small, so that they run out. Only a later version
    than the first has retired features and plans."""
    active = st.just(True) if version == 1 else st.sampled_from([True, True, True, False])
    prices = draw(st.fixed_dictionaries({feature: st.sampled_from([1, 2, 3, 0]) for feature in FEATURES}))
    backed = draw(st.sampled_from([("ai_service",), ("ai_service", "film"), ("ai_service", "sticker", "film"), ()]))
    quotas = st.fixed_dictionaries({feature: st.sampled_from([4, 1, 9, 0]) for feature in backed})
    return a_catalog(
        version=version,
        features=[
            Feature(
                id=feature,
                price=0 if feature == "hello" else price,
                active=draw(active),
            )
            for feature, price in prices.items()
        ],
        plans=[Plan(id=plan.id, quotas=draw(quotas), active=draw(active)) for plan in PLANS],
        packs=[
            a_pack(credits, currency=draw(st.sampled_from(["brl", "usd"])), active=draw(st.booleans()))
            for credits in (5, 10, 20)
        ],
    )


@st.composite
def tied_lots(draw: st.DrawFn) -> list[Lot]:
    """Lots of which many agree in expiry, kind and time of grant."""
    numbers = draw(st.lists(st.integers(2, 2000), unique=True, max_size=8))
    return [
        Lot(
            number=number,
            kind=draw(lot_kinds),
            granted=9,
            remaining=draw(st.integers(1, 9)),
            granted_at=START + timedelta(days=draw(st.integers(0, 1))),
            expires_at=START + timedelta(days=draw(st.integers(30, 31))),
        )
        for number in numbers
    ]
