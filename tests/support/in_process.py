"""Calls the functions in this process, as API Gateway does."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from prepaid.store.dynamodb import Table
from prepaid.use_cases.approving import CodeSecrets
from tests.support.api import CLIENTS, Answer, Api, Request
from tests.support.contract import check_problem
from tests.support.functions import Functions
from tests.support.gateway_events import Context, Event, http_event
from tests.support.iam_rights import acting_as
from tests.support.store_driver import NO_DEADLINE, Stored, stored
from tests.support.template import functions_by_route, is_page

FUNCTION_OF = functions_by_route()

type Handler = Callable[[Event, Any], dict[str, Any]]


@dataclass
class Service(Api):
    """The functions at one table."""

    table: Table
    functions: Functions
    _keys: int = 0

    def new_key(self) -> str:
        """Random bytes that are the same in every run."""
        self._keys += 1
        return f"key-{self._keys}"

    def ask(self, request: Request) -> Answer:
        return self.send(
            http_event(
                request.route,
                path=request.path,
                query=request.query,
                headers=request.headers,
                claims=CLIENTS[request.by] if isinstance(request.by, str) else request.by,
                body=request.body,
            )
        )

    def send(self, event: Event, context: Any = None) -> Answer:
        """One event as it is."""
        route = event["routeKey"]
        self.keep_private({name.lower(): value for name, value in event["headers"].items()}, event.get("body") or "")
        with acting_as(FUNCTION_OF[route]):
            response = self.functions[FUNCTION_OF[route]](event, context or Context())
        # It must survive Lambda's own JSON.
        response = json.loads(json.dumps(response, ensure_ascii=False).encode())
        assert set(response) <= {"statusCode", "headers", "body"}
        assert response["headers"].pop("Cache-Control") == "no-store"
        headers = {name.lower(): value for name, value in response["headers"].items()}
        # Whatever the request was, a line break in a header would let a caller add headers.
        assert all(value.isascii() and value.isprintable() for value in headers.values()), headers
        text = response.get("body", "")
        body = json.loads(text) if "json" in headers.get("content-type", "") else text
        answer = Answer(response["statusCode"], headers, body, text)
        return answer if is_page(route) else self.checked(route, answer)

    def stored(self) -> Stored:
        return stored(self.table)

    def codes_of(self, function: str) -> CodeSecrets:
        """The function's code hashing."""
        return self.functions.deps[function].codes(NO_DEADLINE)


def unknown_route(handler: Handler, event: Event) -> Answer:
    """The response of a route that openapi.json doesn't have."""
    response = handler(event, Context())
    body = json.loads(response["body"])
    check_problem(response["statusCode"], body)
    return Answer(response["statusCode"], response["headers"], body, response["body"])
