"""Stripe's request parameters, such as `line_items[0][price_data][currency]=brl`, read with types and bounds."""

import re
from collections.abc import Sequence
from urllib.parse import parse_qsl

from fake_stripe.errors import Json, StripeError

MAX_FIELDS = 1000
MAX_DEPTH = 8
MAX_INTEGER = 99_999_999_999
INTEGER = re.compile(r"-?[0-9]{1,12}", re.ASCII)
SEGMENT = re.compile(r"\[([^\[\]]*)\]")


def decode(text: str) -> Json:
    """Turn the flat form into nested dicts. A list is a dict with the keys "0", "1", …"""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
    except ValueError as error:
        raise StripeError(f"Invalid request parameters: {error}") from error
    root: Json = {}
    for key, value in pairs:
        _insert(root, _path(key), value, key)
    return root


def _path(key: str) -> list[str]:
    head, _, _ = key.partition("[")
    path = [head, *SEGMENT.findall(key[len(head) :])]
    rebuilt = head + "".join(f"[{part}]" for part in path[1:])
    if not head or "]" in head or rebuilt != key or len(path) > MAX_DEPTH:
        raise StripeError(f"Invalid parameter name: {key[:80]}")
    return path


def _insert(root: Json, path: list[str], value: str, key: str) -> None:
    node = root
    for part in path[:-1]:
        child = node.setdefault(part or str(len(node)), {})
        if not isinstance(child, dict):
            raise StripeError(f"Invalid parameter: {key[:80]} is both a value and an object")
        node = child
    last = path[-1] or str(len(node))
    if isinstance(node.get(last), dict):
        raise StripeError(f"Invalid parameter: {key[:80]} is both a value and an object")
    node[last] = value


class Params:
    """Typed access to one level of the parameters. Errors name the parameter as Stripe does."""

    def __init__(self, fields: Json, prefix: str = "") -> None:
        self.fields = fields
        self.prefix = prefix

    def path(self, name: str) -> str:
        return f"{self.prefix}[{name}]" if self.prefix else name

    def allow(self, names: Sequence[str]) -> None:
        for name in self.fields:
            if name not in names:
                raise StripeError(
                    f"Received unknown parameter: {self.path(name)}", code="parameter_unknown", param=self.path(name)
                )

    def refuse(self, names: Sequence[str]) -> None:
        """Reject parameters that the fake doesn't support, unless they switch the feature off."""
        for name in names:
            if name in self.fields and self.fields.pop(name) != {"enabled": "false"}:
                raise StripeError(f"The fake does not support {self.path(name)}", param=self.path(name))

    def text(self, name: str, *, limit: int = 5000) -> str | None:
        value = self.fields.get(name)
        if value is None:
            return None
        if not isinstance(value, str):
            raise StripeError(f"Invalid string: {self.path(name)}", param=self.path(name))
        if len(value) > limit:
            raise StripeError(
                f"Invalid string: must be at most {limit} characters",
                code="parameter_invalid_string",
                param=self.path(name),
            )
        return value

    def required(self, name: str) -> str:
        value = self.text(name)
        if not value:
            path = self.path(name)
            raise StripeError(f"Missing required param: {path}.", code="parameter_missing", param=path)
        return value

    def integer(self, name: str, *, least: int = 0, most: int = MAX_INTEGER) -> int | None:
        value = self.text(name)
        if value is None:
            return None
        path = self.path(name)
        if not INTEGER.fullmatch(value):
            raise StripeError(f"Invalid integer: {value[:40]}", code="parameter_invalid_integer", param=path)
        number = int(value)
        if not least <= number <= most:
            bound = f"greater than or equal to {least}" if number < least else f"less than or equal to {most}"
            raise StripeError(
                f"This value must be {bound} (it currently is '{number}').",
                code="parameter_invalid_integer",
                param=path,
            )
        return number

    def boolean(self, name: str) -> bool | None:
        value = self.text(name)
        if value is None:
            return None
        if value not in {"true", "false"}:
            raise StripeError(f"Invalid boolean: {value[:40]}", param=self.path(name))
        return value == "true"

    def choice(self, name: str, choices: Sequence[str]) -> str | None:
        value = self.text(name)
        if value is not None and value not in choices:
            raise StripeError(f"Invalid {self.path(name)}: must be one of {', '.join(choices)}", param=self.path(name))
        return value

    def child(self, name: str) -> "Params":
        value = self.fields.get(name) or {}
        if not isinstance(value, dict):
            raise StripeError(f"Invalid object: {self.path(name)}", param=self.path(name))
        return Params(value, self.path(name))

    def strings(self, name: str) -> list[str] | None:
        if name not in self.fields:
            return None
        items = self.child(name)
        return [items.required(index) for index in items.indexes()]

    def children(self, name: str) -> list["Params"]:
        items = self.child(name)
        return [items.child(index) for index in items.indexes()]

    def indexes(self) -> list[str]:
        if not all(INTEGER.fullmatch(index) for index in self.fields):
            raise StripeError(f"Invalid array: {self.prefix}", param=self.prefix)
        return sorted(self.fields, key=int)

    def metadata(self, name: str = "metadata", old: dict[str, str] | None = None) -> dict[str, str]:
        """Merge the metadata into `old`: an empty value removes its key, an empty field removes all keys."""
        if self.fields.get(name) == "":
            return {}
        fields = self.child(name)
        merged = dict(old or {})
        for key in fields.fields:
            value = fields.text(key, limit=500)
            if not re.fullmatch(r"[^\[\]]{1,40}", key):
                raise StripeError("Metadata keys can have at most 40 characters", param=self.path(name))
            if value:
                merged[key] = value
            else:
                merged.pop(key, None)
        if len(merged) > 50:  # noqa: PLR2004 (Stripe's own limit)
            raise StripeError("You can only specify up to 50 keys for metadata", param=self.path(name))
        return merged
