"""What callers send, strictly: no coercion, no unknown fields, bounds on everything."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from prepaid.api.times import read_rfc3339

MAX_CREDITS = 1_000_000_000

# No control characters: these texts go into histories, CSV files and pages.
type Text = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
type Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
# Pydantic alone would also take a number in quotes for seconds since 1970.
type TimeOrNone = Annotated[
    datetime | None,
    BeforeValidator(
        lambda value: None if value is None else read_rfc3339(value),
        json_schema_input_type=Annotated[str, Field(json_schema_extra={"format": "date-time"})] | None,
    ),
]
# Kept as text, so that a leading zero counts; ASCII digits only.
type Code = Annotated[str, StringConstraints(pattern=r"^[0-9]{6}$")]
type Zone = Annotated[str, StringConstraints(min_length=1, max_length=64)]


class Body(BaseModel):
    """A request body."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class ConsumptionRequest(Body):
    """Spend `quantity` units of a feature."""

    feature: Slug
    quantity: Annotated[int, Field(ge=1, le=10_000)] = 1
    description: Text | None = None
    customer: Text | None = None
    reference: Text | None = None


class GrantRequest(Body):
    """Give credits. They end at `expires_at`, or after so many civil months: 12 when neither is said."""

    credits: Annotated[int, Field(ge=1, le=MAX_CREDITS)]
    kind: Literal["promotion", "adjustment"]
    reason: Text
    expires_at: TimeOrNone = None
    valid_months: Annotated[int, Field(ge=1, le=120)] | None = None

    @model_validator(mode="after")
    def _one_validity(self) -> Self:
        if self.expires_at is not None and self.valid_months is not None:
            raise ValueError("say expires_at or valid_months, not both")
        return self

    def validity(self) -> datetime | int:
        """An instant, or a number of months."""
        return self.expires_at or self.valid_months or 12


class AccountRequest(Body):
    """An account as it shall be; what isn't said takes its default."""

    name: Text
    plan: Slug
    ai_enabled: bool = False
    quota_anchor_day: Annotated[int, Field(ge=1, le=31)] = 1
    time_zone: Zone = "America/Sao_Paulo"
    language: Literal["pt-BR", "en", "es"] = "pt-BR"
    low_credit_threshold: Annotated[int, Field(ge=0, le=MAX_CREDITS)] = 10
    manager_contact: Text | None = None


class ManagerCodeRequest(Body):
    """A new code for the manager."""

    code: Code
    current_code: Code | None = None


class ManagerSessionRequest(Body):
    """The manager's code."""

    code: Code


class PurchaseRequest(Body):
    """A pack to buy."""

    pack: Slug


class FeatureRequest(Body):
    """Something that spends."""

    id: Slug
    price: Annotated[int, Field(ge=0, le=1_000_000)]
    quota_backed: bool


class PlanRequest(Body):
    """A plan and the units it includes a month."""

    id: Slug
    quota: Annotated[int, Field(ge=0, le=MAX_CREDITS)]


class PackRequest(Body):
    """Credits sold together. amount: minor units of the currency for the whole pack."""

    id: Slug
    credits: Annotated[int, Field(ge=1, le=MAX_CREDITS)]
    amount: Annotated[int, Field(ge=1, le=99_999_999)]
    currency: Annotated[str, StringConstraints(pattern=r"^[a-z]{3}$")]
    valid_months: Annotated[int, Field(ge=1, le=120)] = 12
    active: bool = True


class CatalogRequest(Body):
    """The whole catalog that shall be in force. Sold packs are retired by `active: false`, never removed.

    allow_cheaper_small_packs: say so when a smaller pack shall really cost less per credit than a larger one.
    """

    features: Annotated[list[FeatureRequest], Field(min_length=1, max_length=100)]
    plans: Annotated[list[PlanRequest], Field(min_length=1, max_length=100)]
    packs: Annotated[list[PackRequest], Field(max_length=100)]
    allow_cheaper_small_packs: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for kind, items in (("features", self.features), ("plans", self.plans), ("packs", self.packs)):
            if len({item.id for item in items}) < len(items):
                raise ValueError(f"{kind} has an id twice")
        if sum(feature.quota_backed for feature in self.features) > 1:
            raise ValueError("a plan's quota backs one feature")
        return self
