"""The service's responses about buying: packs, the catalog, purchases and the subscription page, as in responses.py."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from prepaid_client.responses import Keyed


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A pack on sale. price_per_credit: a decimal number in minor units, for display."""

    id: str
    credits: int
    amount: int
    currency: str
    valid_months: int
    price_per_credit: str
    saving_percent: int
    best_value: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Packs:
    """The packs on sale."""

    packs: tuple[Offer, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """A feature of the catalog. price: credits per unit."""

    id: str
    price: int
    active: bool = True
    titles: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A plan of the catalog. quotas: units per month, by feature."""

    id: str
    quotas: Mapping[str, int] = field(default_factory=dict)
    active: bool = True
    titles: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """A pack of the catalog."""

    id: str
    credits: int
    amount: int
    currency: str
    valid_months: int
    active: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """The features, plans and packs that were in force when it was read. version: the catalog's number."""

    version: int
    features: tuple[Feature, ...]
    plans: tuple[Plan, ...]
    packs: tuple[Pack, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagerSession(Keyed):
    """A manager's approval of one purchase."""

    manager_session: str
    expires_at: datetime

    def __repr__(self) -> str:
        return f"ManagerSession(expires_at={self.expires_at!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Voucher:
    """How to pay a pending purchase. method: pix or boleto. pdf: the boleto to print, if there is one."""

    method: str
    code: str
    expires_at: datetime
    pdf: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase(Keyed):
    """A purchase. voucher: while it is pending. lot, expires_at: of its credits, once they are granted."""

    id: str
    state: str
    checkout_url: str | None
    voucher: Voucher | None
    pack: str
    credits: int
    amount: int
    currency: str
    valid_months: int
    lot: str | None
    expires_at: datetime | None
    refunded_amount: int
    disputed_amount: int
    revoked_credits: int
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PurchasesPage:
    """Purchases of an account."""

    purchases: tuple[Purchase, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedPurchase(Purchase):
    """A purchase in the list of all accounts."""

    account: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedPurchasesPage:
    """Purchases of all accounts."""

    purchases: tuple[ListedPurchase, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalSession(Keyed):
    """A link to the subscription page. It works once."""

    url: str
    expires_at: datetime
