"""Request bodies: strictly validated JSON. No coercion, no unknown fields, bounds on every value."""

import json
from collections import Counter
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic_core import ErrorDetails

from prepaid.api.http.problems import Malformed, UnsupportedType
from prepaid.api.http.requests import Request
from prepaid.api.http.texts import PATTERN, check_text
from prepaid.api.http.unreadable import TOO_DEEP, explain
from prepaid.core.errors import InvalidRequest

MAX_CREDITS = 1_000_000_000
MAX_QUANTITY = 10_000
# A body can have thousands of errors; the response lists only the first ones.
MAX_ERRORS = 20
SLUG = r"^[a-z0-9][a-z0-9_-]{0,63}$"
SLUG_SENTENCE = "must be 1 to 64 of a-z, 0-9, '-' and '_', and start with a letter or digit"


def with_message(sentence: str) -> WrapValidator:
    """A validator that reports `sentence` instead of pydantic's error, which would quote the pattern."""

    def validate(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        try:
            return handler(value)
        except ValidationError:
            raise ValueError(sentence) from None

    return WrapValidator(validate)


MAX_TEXT = 200

type Text = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MAX_TEXT),
    AfterValidator(check_text),
    Field(
        description="One line with a visible character. No control characters, no changes of direction, no U+FFFD.",
        json_schema_extra={"pattern": PATTERN},
    ),
]
type Slug = Annotated[str, StringConstraints(pattern=SLUG), with_message(SLUG_SENTENCE)]
type Currency = Annotated[
    str, StringConstraints(pattern=r"^[a-z]{3}$"), with_message("must be an ISO 4217 code in lower case, such as brl")
]


class Body(BaseModel):
    """A request body."""

    # defer_build: pydantic builds a validator for the first request that needs it, so a function's start builds none.
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, defer_build=True)


def body_of[M: BaseModel](request: Request, model: type[M]) -> M:
    """The JSON body as `model`. Raises UnsupportedType, Malformed, InvalidRequest naming every invalid field."""
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/json":
        raise UnsupportedType("Send the body as Content-Type: application/json.")
    try:
        # Pydantic would use the last of duplicate names; another parser may use the first and see a different request.
        json.loads(request.body.decode(), object_pairs_hook=_unique_names, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise explain(request.body, request.headers, error) from None
    try:
        return model.model_validate_json(request.body)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)[:MAX_ERRORS]
        if any(problem["type"] == "json_invalid" for problem in problems):
            # Python's parser accepts these two.
            too_deep = "recursion" in problems[0]["msg"]
            raise Malformed(TOO_DEEP if too_deep else "The body contains half of a surrogate pair.") from None
        raise _invalid(problems, "body") from None


def part_of[M: BaseModel](value: Any, model: type[M], name: str) -> M:
    """One part of a body, a JSON value, as `model`. Raises InvalidRequest; `name` stands for the part as a whole."""
    try:
        # Through JSON again, because pydantic accepts other values in JSON than in Python objects.
        return model.model_validate_json(json.dumps(value))
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)[:MAX_ERRORS]
        raise _invalid(problems, name) from None


def _invalid(problems: list[ErrorDetails], name: str) -> InvalidRequest:
    return InvalidRequest(
        tuple((_field_of(problem["loc"]) or name, _reason_of(problem["msg"])) for problem in problems)
    )


def _reason_of(message: str) -> str:
    # Pydantic adds these words for programmers.
    return message.removeprefix("Value error, ").replace(" after validation", "")


def _field_of(location: tuple[int | str, ...]) -> str:
    # Pydantic adds the last part for a wrong key of an object, such as titles.pt.
    return ".".join(map(str, location)).removesuffix(".[key]")


def _unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = dict(pairs)
    if len(names) < len(pairs):
        duplicate = Counter(name for name, _ in pairs).most_common(1)[0][0]
        # In ASCII, because a name may be half of a surrogate pair, which a response can't contain.
        raise Malformed(f"The body names the field {json.dumps(duplicate[:64])} twice.")
    return names


def _no_constant(name: str) -> None:
    raise Malformed(f"The body contains {name}, which is not JSON.")
