"""Request bodies: strictly validated JSON. No coercion, no unknown fields, bounds on every value."""

import json
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from prepaid.api.http.problems import Malformed, UnsupportedType
from prepaid.api.http.requests import Request
from prepaid.core.errors import InvalidRequest

MAX_CREDITS = 1_000_000_000
# A body can have thousands of errors; the response lists only the first ones.
MAX_ERRORS = 20

# No control characters, because these texts appear in histories, CSV files and web pages.
type Text = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
type Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]


class Body(BaseModel):
    """A request body."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


def body_of[M: BaseModel](request: Request, model: type[M]) -> M:
    """The JSON body as `model`. Raises UnsupportedType, Malformed, InvalidRequest naming every invalid field."""
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/json":
        raise UnsupportedType("Send the body as Content-Type: application/json.")
    try:
        # Pydantic would use the last of duplicate names; another parser may use the first and see a different request.
        json.loads(request.body.decode(), object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Malformed("The body is not JSON, or names a field twice.") from None
    try:
        return model.model_validate_json(request.body)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)[:MAX_ERRORS]
        if any(problem["type"] == "json_invalid" for problem in problems):
            raise Malformed("The body is not JSON.") from None
        raise InvalidRequest(
            tuple(
                (".".join(map(str, problem["loc"])) or "body", problem["msg"].removeprefix("Value error, "))
                for problem in problems
            )
        ) from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = dict(pairs)
    if len(names) < len(pairs):
        raise ValueError("a name twice")
    return names


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
