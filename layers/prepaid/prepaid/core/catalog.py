"""The catalog: features, plans and packs with their prices, as one immutable, numbered version."""

from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations

from prepaid.core.currencies import why_not
from prepaid.core.errors import InvalidRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """A billable feature. price: credits per unit, >= 0. quota_backed: the plan's quota pays for it first."""

    id: str
    price: int
    quota_backed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """quota: units of the quota-backed feature included per month."""

    id: str
    quota: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """Credits sold together. amount: the price of the whole pack, in the currency's minor units (centavos)."""

    id: str
    credits: int
    amount: int
    currency: str
    valid_months: int
    active: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """One version of the catalog. Ids are unique within each kind; at most one feature is quota-backed."""

    version: int
    features: tuple[Feature, ...]
    plans: tuple[Plan, ...]
    packs: tuple[Pack, ...]

    def feature(self, feature_id: str) -> Feature:
        """The feature, or InvalidRequest naming the field `feature`."""
        for feature in self.features:
            if feature.id == feature_id:
                return feature
        raise InvalidRequest((("feature", "no such feature"),))

    def plan(self, plan_id: str) -> Plan:
        """The plan, or InvalidRequest naming the field `plan`."""
        for plan in self.plans:
            if plan.id == plan_id:
                return plan
        raise InvalidRequest((("plan", "no such plan"),))

    def pack_on_sale(self, pack_id: str) -> Pack:
        """The pack, or InvalidRequest naming the field `pack` when it doesn't exist or is retired."""
        for pack in self.packs:
            if pack.id == pack_id and pack.active:
                return pack
        raise InvalidRequest((("pack", "no such pack on sale"),))

    @property
    def quota_feature(self) -> Feature | None:
        """The feature that a plan's quota pays for."""
        return next((feature for feature in self.features if feature.quota_backed), None)

    @property
    def packs_on_sale(self) -> tuple[Pack, ...]:
        """Active packs, smallest first."""
        return tuple(
            sorted((pack for pack in self.packs if pack.active), key=lambda pack: (pack.credits, pack.amount, pack.id))
        )

    def smallest_pack_covering(self, credits: int) -> Pack | None:
        """The smallest pack on sale that holds at least `credits`."""
        return next((pack for pack in self.packs_on_sale if pack.credits >= credits), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A pack with its price comparison. price_per_credit: minor units, exact. saving_percent: compared with the
    smallest pack of the same currency, rounded down so that it never overstates. best_value: the highest saving."""

    pack: Pack
    price_per_credit: Fraction
    saving_percent: int
    best_value: bool


def offers(catalog: Catalog) -> tuple[Offer, ...]:
    """Each pack on sale, compared with the smallest pack of its currency. Smallest first."""
    packs = catalog.packs_on_sale
    return tuple(_offer(pack, tuple(other for other in packs if other.currency == pack.currency)) for pack in packs)


def check_prices(catalog: Catalog) -> None:
    """Reject a pack on sale that is cheaper per credit than a larger pack of its currency: usually a mistake.

    Raises InvalidRequest.
    """
    errors = [
        ("packs", f"{small.id} is cheaper per credit than the larger {large.id}")
        for small, large in combinations(catalog.packs_on_sale, 2)
        if small.currency == large.currency
        and small.credits < large.credits
        and _price_per_credit(small) < _price_per_credit(large)
    ]
    if errors:
        raise InvalidRequest(tuple(errors))


def check_amounts(catalog: Catalog) -> None:
    """Reject a pack on sale whose amount or currency Stripe can't charge. Retired packs are history: not checked.

    Raises InvalidRequest.
    """
    errors = [
        (f"packs.{place}.{wrong[0]}", wrong[1])
        for place, pack in enumerate(catalog.packs)
        if pack.active and (wrong := why_not(pack.amount, pack.currency))
    ]
    if errors:
        raise InvalidRequest(tuple(errors))


def check_successor(old: Catalog, new: Catalog) -> None:
    """Reject a version that drops an id that accounts or purchases may still refer to (retire packs instead).

    Raises InvalidRequest.
    """
    errors = [
        (kind, f"{missing} may not be removed{' (set active to false)' if kind == 'packs' else ''}")
        for kind, before, after in (
            ("features", old.features, new.features),
            ("plans", old.plans, new.plans),
            ("packs", old.packs, new.packs),
        )
        for missing in sorted({item.id for item in before} - {item.id for item in after})
    ]
    if errors:
        raise InvalidRequest(tuple(errors))


def _offer(pack: Pack, rivals: tuple[Pack, ...]) -> Offer:
    best = min(rivals, key=lambda rival: (_price_per_credit(rival), rival.credits))
    return Offer(
        pack=pack,
        price_per_credit=_price_per_credit(pack),
        saving_percent=_saving_percent(pack, rivals[0]),
        best_value=pack is best and _price_per_credit(pack) < _price_per_credit(rivals[0]),
    )


def _price_per_credit(pack: Pack) -> Fraction:
    return Fraction(pack.amount, pack.credits)


def _saving_percent(pack: Pack, smallest: Pack) -> int:
    base = _price_per_credit(smallest)
    if base == 0:
        return 0
    return max(0, int((base - _price_per_credit(pack)) * 100 / base))
