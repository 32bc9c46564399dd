"""Serves routes: passes API Gateway's event to the route's function and returns its response or error.

API Gateway has already matched the route and verified the token, so finding the function is a table lookup.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

from prepaid.api.http.problems import RouteNotFound, code_of, problem_response
from prepaid.api.http.requests import Request, request_from, request_id_of
from prepaid.api.http.responses import Response, to_gateway
from prepaid.api.http.routes import DEADLINE_SECONDS
from prepaid.core.errors import InsufficientCredits, Refused, Unavailable
from prepaid.deps import Deps, with_deadline
from prepaid.payments.errors import PaymentsNotConfigured, PaymentsRefused
from prepaid.telemetry import Metric, count, logger

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

MAX_BODY_BYTES = 64 * 1024

type LambdaHandler = Callable[[dict[str, Any], LambdaContext], dict[str, Any]]


class Served(Protocol):
    """A route of the API or of the page.

    deadline_seconds: the deadline of a request; None for the function's. refuse: returns the response to an error.
    """

    @property
    def key(self) -> str: ...
    @property
    def function(self) -> Callable[[Request, Deps], Response]: ...
    @property
    def deadline_seconds(self) -> float | None: ...
    def refuse(self, error: Exception, event: Mapping[str, Any], deps: Deps) -> Response: ...


def serve(
    routes: Iterable[Served],
    deps: Deps,
    *,
    more: Callable[[], Iterable[Served]] = tuple,
    deadline_seconds: float = DEADLINE_SECONDS,
    max_body_bytes: int = MAX_BODY_BYTES,
) -> "LambdaHandler":
    """A Lambda handler for API Gateway's HTTP API events (payload 2.0). Each route responds to its own errors.

    more: imports the function's other routes and returns them. It is called by the first request for one of them, so
    that a cold start loads only what most first requests need.
    """
    routes_by_key = {route.key: route for route in routes}

    @cache
    def more_by_key() -> dict[str, Served]:
        return {route.key: route for route in more()}

    @logger.inject_lambda_context(clear_state=True)
    def handle(event: dict[str, Any], _context: "LambdaContext") -> dict[str, Any]:
        key = str(event.get("routeKey", ""))
        # The gateway's own log uses the same name.
        logger.append_keys(route=key, request_id=request_id_of(event))
        route = routes_by_key.get(key) or more_by_key().get(key)
        route_seconds = route.deadline_seconds if route else None
        # The only deadline of the request, including its error page.
        request_deps = with_deadline(deps, deadline_seconds if route_seconds is None else route_seconds)
        try:
            request = request_from(event, deps.clock(), max_body_bytes)
            function = route.function if route else _no_such_route
            response = function(request, request_deps)
            if response.error is None:
                logger.info("answered", extra={"status": response.status})
            else:
                _log_error(response.error, {"status": response.status, "code": code_of(response.error)})
        except Exception as error:  # noqa: BLE001 - the outermost handler: every error becomes a response
            response = _refusal(route, error, event, request_deps)
            _log_error(error, {"status": response.status, "code": code_of(error)})
        return to_gateway(response)

    return handle


def _log_error(error: Exception, fields: dict[str, Any]) -> None:
    """Log by kind: rejections at info, outages with their cause, bugs with a metric that raises the alarm."""
    if isinstance(error, Refused):
        logger.info("refused", extra=fields)
        if isinstance(error, InsufficientCredits):
            count(Metric.SPENDING_REFUSED, 1)
    elif isinstance(error, Unavailable):
        logger.warning("unavailable", extra=fields, exc_info=error)
    elif isinstance(error, PaymentsNotConfigured):
        # A new stack, not a failure: the alarm ApiErrors subtracts this metric.
        logger.warning("payments not configured", extra=fields)
        count(Metric.PAYMENTS_NOT_CONFIGURED, 1)
    elif isinstance(error, PaymentsRefused):
        logger.error("payment provider refused", extra=fields, exc_info=error)
        count(Metric.PAYMENT_PROVIDER_REFUSALS, 1)
    else:
        logger.error("failed", extra=fields, exc_info=error)
        count(Metric.INTERNAL_ERRORS, 1)


def _refusal(route: Served | None, error: Exception, event: Mapping[str, Any], deps: Deps) -> Response:
    """The route's response to an error; a problem if the route itself can't respond."""
    if route is None:
        return problem_response(error, request_id_of(event))
    try:
        return route.refuse(error, event, deps)
    except Exception as page_error:  # noqa: BLE001 - even a broken error page must not leak what is wrong with it
        response = problem_response(page_error, request_id_of(event))
        _log_error(page_error, {"status": response.status, "code": code_of(page_error)})
        return response


def _no_such_route(_request: Request, _deps: Deps) -> Response:
    raise RouteNotFound("There is no such route.")
