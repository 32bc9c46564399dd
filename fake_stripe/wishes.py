"""The body of a control request, read with types and bounds."""

import re

from fake_stripe.errors import Json, StripeError

MAX_COUNT = 10_000
MAX_WAITS = 20
MAX_SECONDS = 3600.0


class Wishes:
    """The body of a control request, JSON or a browser's form, read with types; unknown names are refused."""

    def __init__(self, values: Json) -> None:
        self._values = dict(values)

    def text(self, name: str, default: str = "") -> str:
        value = self._values.pop(name, default)
        if not isinstance(value, str):
            raise StripeError(f"{name} must be a text", param=name)
        return value

    def count(self, name: str, default: int | None = None, *, least: int = 0, most: int = MAX_COUNT) -> int | None:
        value = self._values.pop(name, default)
        if isinstance(value, str) and re.fullmatch("[0-9]{1,9}", value):
            value = int(value)
        if value is not None and (type(value) is not int or not least <= value <= most):
            raise StripeError(f"{name} must be a whole number from {least} to {most}", param=name)
        return value

    def seconds(self, name: str, default: float, *, most: float = MAX_SECONDS) -> float:
        value = self._values.pop(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
            raise StripeError(f"{name} must be a number from 0 to {most}", param=name)
        return float(value)

    def waits(self, name: str, default: list[float]) -> list[float]:
        values = self._values.pop(name, default)
        if not isinstance(values, list) or len(values) > MAX_WAITS:
            raise StripeError(f"{name} must be a list of at most {MAX_WAITS} numbers", param=name)
        return [Wishes({name: value}).seconds(name, 0.0) for value in values]

    def flag(self, name: str, *, default: bool) -> bool:
        value = self._values.pop(name, default)
        value = {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value
        if not isinstance(value, bool):
            raise StripeError(f"{name} must be true or false", param=name)
        return value

    def done(self) -> None:
        if self._values:
            name = next(iter(self._values))
            raise StripeError(f"Unknown: {name[:40]}", param=name[:40])
