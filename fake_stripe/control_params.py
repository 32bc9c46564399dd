"""The bodies of control requests: a JSON object, or the form that a button of the dashboard submits."""

from typing import Annotated, Literal

from flask import Request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from fake_stripe.errors import StripeError
from fake_stripe.lifecycle import TEST_CARD
from fake_stripe.webhooks import checked_url

FORM = "application/x-www-form-urlencoded"
TEN_YEARS = 10 * 366 * 86_400

type Count = Annotated[int, Field(ge=0, le=10_000)]
type Amount = Annotated[int, Field(ge=1, le=10**10)]
type Seconds = Annotated[float, Field(ge=0, le=3600)]


class ControlParams(BaseModel):
    """A control without parameters; the others add fields."""

    model_config = ConfigDict(extra="forbid")


class MethodParams(ControlParams):
    method: str | None = None


class PayParams(MethodParams):
    card: str = TEST_CARD


class FailParams(ControlParams):
    decline_code: str = "generic_decline"


class RefundParams(ControlParams):
    amount: Amount | None = None
    status: str = "succeeded"


class DisputeParams(ControlParams):
    amount: Amount | None = None
    reason: str = "fraudulent"
    withdraw: bool = True
    inquiry: bool = False


class DisputeWonParams(ControlParams):
    reinstate: bool = True


class WebhookParams(ControlParams):
    """Fields of `webhooks.Settings`, and the events' API version. A missing field keeps its value."""

    url: Annotated[str, AfterValidator(checked_url)] = ""
    secret: str = ""
    previous_secret: str = ""
    sign_with: Literal["current", "previous", "both", "other", "none"] = "current"
    running: bool = True
    concurrency: Annotated[int, Field(ge=1, le=10_000)] = 1
    delay_seconds: Seconds = 0.0
    timestamp_offset_seconds: Annotated[int, Field(ge=-TEN_YEARS, le=TEN_YEARS)] = 0
    retry_seconds: Annotated[list[Seconds], Field(max_length=20)] = []
    timeout_seconds: Seconds = 0.0
    duplicate_next: Count = 0
    copies: Count = 1
    lose_next: Count = 0
    hold_next: Count = 0
    api_version: str = ""


class DuplicateParams(ControlParams):
    next: Count = 1
    copies: Annotated[int, Field(ge=1, le=100)] = 1


class LoseParams(ControlParams):
    next: Count = 1


class ReorderParams(ControlParams):
    hold: Count = 1


class StartParams(ControlParams):
    discard: bool = False


class RotateParams(ControlParams):
    secret: str = ""


class RedeliverParams(ControlParams):
    types: str = ""
    reverse: bool = False


class DrainParams(ControlParams):
    timeout_seconds: Seconds = 10.0


class ClockParams(ControlParams):
    advance_seconds: Annotated[int, Field(ge=0, le=TEN_YEARS)] = 0


class ApiFaultParams(ControlParams):
    next: Count = 1
    status: Annotated[int, Field(ge=0, le=599)] = 0
    delay_seconds: Seconds = 0.0
    drop_answer: bool = False


class KeyParams(ControlParams):
    key: str = ""


def read[P: ControlParams](request: Request, kind: type[P]) -> P:
    """Return the request's body as `kind`. Raises StripeError with the name of the first invalid parameter."""
    body = request.get_data()
    try:
        # curl -d sends JSON with the content type of a form.
        if request.mimetype == FORM and not body.startswith((b"{", b"[")):
            return kind.model_validate(request.form.to_dict())
        return kind.model_validate_json(body or b"{}", strict=True)
    except ValidationError as error:
        first_error = error.errors(include_url=False, include_context=False, include_input=False)[0]
        name = str(first_error["loc"][0])[:40] if first_error["loc"] else "body"
        raise StripeError(f"{name}: {first_error['msg']}", param=name) from error
