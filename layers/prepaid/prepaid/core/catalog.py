"""The catalog: features, plans and packs with their prices, as one immutable, numbered version."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from prepaid.core.currencies import amount_error
from prepaid.core.errors import CurrencyMismatch, FeatureRetired, InvalidRequest

# The most ids of each kind, retired ones included: a version must fit in DynamoDB's 400 kB for an item.
MAX_IDS = 200
# The most quotas of all plans together, for the same reason.
MAX_QUOTAS = 1_000
# The most valid ids that an error message lists.
MAX_NAMED = 20

type Titles = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """A billable feature. price: credits per unit, >= 0.

    active: False when it is retired: nothing more can be spent on it. titles: its name for people, by language.
    """

    id: str
    price: int
    active: bool = True
    titles: Titles = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """quotas: units included per month, by feature. A feature that isn't named, or named with 0, has no quota.

    active: False when it is retired: accounts that have it keep it, and no other account gets it.
    titles: its name for people, by language.
    """

    id: str
    quotas: Mapping[str, int] = field(default_factory=dict)
    active: bool = True
    titles: Titles = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """Credits sold together. amount: the price of the whole pack, in the currency's minor units (centavos).

    active: False when it is retired: it is not on sale.
    """

    id: str
    credits: int
    amount: int
    currency: str
    valid_months: int
    active: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """One version of the catalog. Ids are unique within each kind; a plan's quotas are of features of the catalog."""

    version: int
    features: tuple[Feature, ...]
    plans: tuple[Plan, ...]
    packs: tuple[Pack, ...]

    def feature_title(self, feature_id: str, language: str) -> str:
        """The feature's name for people in this language."""
        return _title(self.features, feature_id, language)

    def plan_title(self, plan_id: str, language: str) -> str:
        """The plan's name for people in this language."""
        return _title(self.plans, plan_id, language)

    def active_feature(self, feature_id: str) -> Feature:
        """The feature. Raises FeatureRetired, or InvalidRequest naming the field `feature`."""
        feature = next((feature for feature in self.features if feature.id == feature_id), None)
        if feature and feature.active:
            return feature
        valid = _one_of(feature.id for feature in self.features if feature.active)
        if feature:
            raise FeatureRetired(f"is retired: {valid}")
        raise InvalidRequest((("feature", f"no such feature: {valid}"),))

    def plan(self, plan_id: str) -> Plan:
        """The plan of an existing account, perhaps a retired one; or InvalidRequest naming the field `plan`."""
        for plan in self.plans:
            if plan.id == plan_id:
                return plan
        raise InvalidRequest((("plan", f"no such plan: {self._valid_plans}"),))

    def active_plan(self, plan_id: str) -> Plan:
        """The plan, or InvalidRequest naming the field `plan` when it doesn't exist or is retired."""
        plan = self.plan(plan_id)
        if not plan.active:
            raise InvalidRequest((("plan", f"is retired: {self._valid_plans}"),))
        return plan

    def pack_on_sale(self, pack_id: str, currency: str | None) -> Pack:
        """The pack, for an account that buys in `currency`; None: the catalog's own currency.

        Raises InvalidRequest naming the field `pack` when it doesn't exist or is retired, CurrencyMismatch.
        """
        offered = tuple(pack.id for pack in self.packs_in(currency))
        pack = next((pack for pack in self.packs_on_sale if pack.id == pack_id), None)
        if pack is None:
            raise InvalidRequest((("pack", f"no such pack on sale: {_one_of(offered)}"),))
        if pack.id not in offered:
            raise CurrencyMismatch(currency or self.currency, offered)
        return pack

    @property
    def _valid_plans(self) -> str:
        return _one_of(plan.id for plan in self.plans if plan.active)

    @property
    def packs_on_sale(self) -> tuple[Pack, ...]:
        """Active packs, smallest first."""
        return tuple(
            sorted((pack for pack in self.packs if pack.active), key=lambda pack: (pack.credits, pack.amount, pack.id))
        )

    def packs_in(self, currency: str | None) -> tuple[Pack, ...]:
        """The packs on sale in a currency, smallest first; None: in the catalog's own."""
        return tuple(pack for pack in self.packs_on_sale if pack.currency == (currency or self.currency))

    def smallest_pack_covering(self, credits: int, currency: str | None) -> Pack | None:
        """The smallest pack on sale in a currency that holds at least `credits`; None: the catalog's own currency."""
        return next((pack for pack in self.packs_in(currency) if pack.credits >= credits), None)

    @property
    def currency(self) -> str | None:
        """The currency of accounts that name none: of the first pack on sale, in the catalog's own order."""
        return next((pack.currency for pack in self.packs if pack.active), None)


def check_amounts(catalog: Catalog) -> None:
    """Reject a pack on sale whose amount or currency Stripe can't charge. Retired packs are history: not checked.

    Raises InvalidRequest.
    """
    errors = [
        (f"packs.{index}.{error[0]}", error[1])
        for index, pack in enumerate(catalog.packs)
        if pack.active and (error := amount_error(pack.amount, pack.currency))
    ]
    if errors:
        raise InvalidRequest(tuple(errors))


def with_retired(new: Catalog, old: Catalog) -> Catalog:
    """`new`, plus what it leaves out of `old`, as retired: accounts, entries and purchases still refer to it.

    A plan that is left out keeps its quotas. Raises InvalidRequest if the result has more than MAX_IDS of a kind, more
    than MAX_QUOTAS, or a quota of an unknown feature.
    """
    features = tuple(replace(feature, active=False) for feature in _left_out(old.features, new.features))
    plans = tuple(replace(plan, active=False) for plan in _left_out(old.plans, new.plans))
    packs = tuple(replace(pack, active=False) for pack in _left_out(old.packs, new.packs))
    merged = replace(
        new,
        features=(*new.features, *features),
        plans=(*new.plans, *plans),
        packs=(*new.packs, *packs),
    )
    errors = [
        (kind, f"{count} with the retired ones, and {MAX_IDS} is the most: reuse retired ids")
        for kind, count in (
            ("features", len(merged.features)),
            ("plans", len(merged.plans)),
            ("packs", len(merged.packs)),
        )
        if count > MAX_IDS
    ]
    quotas = sum(len(plan.quotas) for plan in merged.plans)
    if quotas > MAX_QUOTAS:
        errors.append(("plans", f"{quotas} quotas with the retired plans, and {MAX_QUOTAS} is the most"))
    errors += _unknown_quotas(merged)
    if errors:
        raise InvalidRequest(tuple(errors))
    return merged


def _unknown_quotas(catalog: Catalog) -> list[tuple[str, str]]:
    """The errors of quotas whose feature the catalog doesn't have."""
    features = [feature.id for feature in catalog.features]
    return [
        (f"plans.{index}.quotas.{feature}", f"no such feature: {_one_of(features)}")
        for index, plan in enumerate(catalog.plans)
        for feature in plan.quotas
        if feature not in features
    ]


def is_successor(new: Catalog, old: Catalog) -> bool:
    """Whether `new` has every feature, plan and pack of `old`, active or retired."""
    left_out = (
        *_left_out(old.features, new.features),
        *_left_out(old.plans, new.plans),
        *_left_out(old.packs, new.packs),
    )
    return not left_out


def _left_out[T: Feature | Plan | Pack](before: tuple[T, ...], after: tuple[T, ...]) -> tuple[T, ...]:
    ids = {item.id for item in after}
    return tuple(item for item in before if item.id not in ids)


def _title(items: Iterable[Feature | Plan], item_id: str, language: str) -> str:
    """The title in this language, or in any other; without one, the id in words: ai_service -> Ai service."""
    titles = next((item.titles for item in items if item.id == item_id), {})
    words = re.sub(r"[_-]+", " ", item_id).capitalize()
    return titles.get(language) or next(iter(titles.values()), words)


def _one_of(ids: Iterable[str]) -> str:
    """The valid ids, as an error message lists them."""
    valid = tuple(ids)
    if not valid:
        return "there is none"
    suffix = f" and {len(valid) - MAX_NAMED} more" if len(valid) > MAX_NAMED else ""
    return f"must be one of {', '.join(valid[:MAX_NAMED])}{suffix}"
