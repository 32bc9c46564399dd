"""The requests that the rules answer with an entry or a refusal. A new entry type needs one."""

from dataclasses import dataclass, field
from typing import Literal

from tests.oracle.catalog import Json


@dataclass(frozen=True, kw_only=True)
class Debit:
    """key: the idempotency key. texts: customer, reference and description, as far as the request has them."""

    actor: str
    feature: str
    quantity: int
    key: str | None = None
    texts: Json = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Grant:
    """months: civil months of validity, unless expires_at gives its end. purchase: whose payment it is, if any."""

    actor: str
    kind: str
    credits: int
    months: int | None = None
    expires_at: int | None = None
    description: str | None = None
    key: str | None = None
    purchase: str | None = None


@dataclass(frozen=True, kw_only=True)
class Void:
    """lot: the number of the granted lot. credits: None for all that remain."""

    actor: str
    lot: int
    credits: int | None = None
    description: str | None = None
    key: str | None = None


@dataclass(frozen=True, kw_only=True)
class PlaceHold:
    """ttl_seconds: after which it lapses. The rest as of a debit."""

    actor: str
    feature: str
    quantity: int
    ttl_seconds: int
    key: str | None = None
    texts: Json = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Capture:
    """hold: its number. quantity: units, None for all."""

    actor: str
    hold: int
    quantity: int | None = None
    key: str | None = None


@dataclass(frozen=True, kw_only=True)
class Release:
    """hold: its number."""

    actor: str
    hold: int
    key: str | None = None


@dataclass(frozen=True, kw_only=True)
class Reverse:
    """entry: the number of a consumption or capture. quantity: units, None for all that are left."""

    actor: str
    entry: int
    quantity: int | None = None
    description: str | None = None
    key: str | None = None


@dataclass(frozen=True, kw_only=True)
class PutTerms:
    """Opens the account, or changes its terms: those that it names, which are all of a new account's but the status."""

    actor: str
    terms: Json


@dataclass(frozen=True, kw_only=True)
class MoneyBack:
    """type: what moved the money. revoked: credits of the purchase that are revoked from now on, in all."""

    actor: str
    type: Literal["refund", "dispute"]
    purchase: str
    revoked: int


@dataclass(frozen=True, kw_only=True)
class Erase:
    """Record that the texts of so many entries are erased."""

    actor: str
    entries: int
    key: str | None = None


@dataclass(frozen=True)
class Settle:
    """Record expiries, lapses and a renewal."""


type Request = Debit | PlaceHold | Capture | Release | Reverse | Grant | Void | PutTerms | MoneyBack | Erase | Settle
