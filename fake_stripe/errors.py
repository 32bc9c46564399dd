"""Errors in Stripe's format."""

from typing import Any

type Json = dict[str, Any]


class StripeError(Exception):
    """A response with a status other than 2xx; `body()` is its JSON."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        decline_code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.kind = kind
        self.code = code
        self.param = param
        self.decline_code = decline_code

    def body(self) -> Json:
        error: Json = {"message": self.message, "type": self.kind}
        for name, value in (("code", self.code), ("param", self.param), ("decline_code", self.decline_code)):
            if value is not None:
                error[name] = value
        if self.code:
            error["doc_url"] = f"https://stripe.com/docs/error-codes/{self.code.replace('_', '-')}"
        return {"error": error}


def missing(kind: str, identifier: str, param: str = "id") -> StripeError:
    return StripeError(f"No such {kind}: '{identifier}'", status=404, code="resource_missing", param=param)


def wrong_state(message: str) -> StripeError:
    """The error of a control that doesn't fit the object's state. Stripe has no such error; a developer needs one."""
    return StripeError(message, status=409, code="wrong_state")
