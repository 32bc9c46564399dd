"""From API Gateway's event to a route's function, and its response or error back.

API Gateway has matched the route and verified the token already, so finding the function is a look in a table.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from prepaid.api.http.problems import RouteNotFound, problem_of
from prepaid.api.http.requests import Request, request_from
from prepaid.api.http.responses import Response, to_gateway
from prepaid.api.http.routes import Route
from prepaid.core.errors import Refused, Unavailable
from prepaid.deps import Deps, with_deadline
from prepaid.payments.errors import PaymentsRefused
from prepaid.telemetry import Metric, count, logger

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

MAX_BODY_BYTES = 64 * 1024
# The deadline of a request. When it passes, a call to the database may still be under way for six seconds; then the 503
# must reach the caller before Lambda stops the function.
DEADLINE_SECONDS = 3.0
# For functions that call Stripe: six calls of three seconds each, as a slow Stripe takes for a refund, must leave time
# for the write that follows. Stripe's client has time-outs of its own, so the deadline bounds the database's part only.
STRIPE_DEADLINE_SECONDS = 20.0

type LambdaHandler = Callable[[dict[str, Any], LambdaContext], dict[str, Any]]


def serve(
    routes: Iterable[Route],
    deps: Deps,
    *,
    deadline_seconds: float = DEADLINE_SECONDS,
    max_body_bytes: int = MAX_BODY_BYTES,
) -> "LambdaHandler":
    """A Lambda handler for API Gateway's HTTP API events (payload 2.0). Errors become problems."""
    functions = {route.key: route.function for route in routes}

    @logger.inject_lambda_context(clear_state=True)
    def handle(event: dict[str, Any], _context: "LambdaContext") -> dict[str, Any]:
        key = str(event.get("routeKey", ""))
        logger.append_keys(route=key)
        try:
            request = request_from(event, deps.clock(), max_body_bytes)
            response = functions.get(key, _no_such_route)(request, with_deadline(deps, deadline_seconds))
            logger.info("answered", extra={"status": response.status})
        except Exception as error:  # noqa: BLE001 - the last place before the caller: whatever it is, it gets an answer
            status, headers, body = problem_of(error)
            headers = {"Content-Type": "application/problem+json", **headers}
            response = Response(status=status, body=body, headers=headers)
            _log_error(error, {"status": status, "code": body["code"]})
        return to_gateway(response)

    return handle


def _log_error(error: Exception, about: dict[str, Any]) -> None:
    """Log by kind: rejections at info, outages with their cause, bugs with a metric that raises the alarm."""
    if isinstance(error, Refused):
        logger.info("refused", extra=about)
    elif isinstance(error, Unavailable):
        logger.warning("unavailable", extra=about, exc_info=error)
    elif isinstance(error, PaymentsRefused):
        logger.error("payment provider refused", extra=about, exc_info=error)
        count(Metric.PAYMENT_PROVIDER_REFUSALS, 1)
    else:
        logger.error("failed", extra=about, exc_info=error)
        count(Metric.INTERNAL_ERRORS, 1)


def _no_such_route(_request: Request, _deps: Deps) -> Response:
    raise RouteNotFound("There is nothing here.")
