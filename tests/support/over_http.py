"""Calls the deployed service over HTTP, as its clients do."""

import http.client
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlencode, urlsplit
from uuid import uuid4

from tests.support.api import CLIENTS, Answer, Api, Caller, Request

ANSWER_SECONDS = 60
TRIES = 20


@dataclass
class HttpApi(Api):
    """The service at its address. tokens: of the stack's own clients, by their name."""

    url: str
    tokens: Mapping[str, str]

    def ask(self, request: Request) -> Answer:
        """Send a request, and retry it as documented while the service says that it is busy."""
        method, _, path = request.route.partition(" ")
        for name, value in request.path.items():
            path = path.replace(f"{{{name}}}", quote(value, safe=""))
        target = f"{path}?{urlencode(request.query)}" if request.query else path
        token = self._token(request.by)
        headers = ({"authorization": f"Bearer {token}"} if token else {}) | dict(request.headers)
        body = request.body.encode() if isinstance(request.body, str) else request.body
        lower = {name.lower(): value for name, value in headers.items()}
        self.keep_private(lower, (body or b"").decode(errors="replace"))
        for _ in range(TRIES):
            answer = exchange(method, self.url + target, body, headers)
            # API Gateway refuses a token with a body of its own, which is no problem document.
            if answer.status not in {401, 403} or "problem" in answer.headers.get("content-type", ""):
                self.checked(request.route, answer)
            if answer.status != 503:
                return answer
            time.sleep(int(answer.headers["retry-after"]))
        raise AssertionError(f"{request.route} stays busy")

    def _token(self, by: Caller) -> str | None:
        assert by is None or isinstance(by, str), "over HTTP claims travel in a token"
        return self.tokens[by] if by in CLIENTS else by


def new_account() -> str:
    """The id of an account that isn't there yet, on a stack that all tests share."""
    return f"shop-{uuid4().hex[:12]}"


def exchange(method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
    """One request with exactly these headers."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=ANSWER_SECONDS)
    try:
        connection.request(method, url.removeprefix(f"http://{parts.netloc}"), body, dict(headers))
        response = connection.getresponse()
        text = response.read().decode()
        names = {name.lower(): value for name, value in response.getheaders()}
    finally:
        connection.close()
    # An answer without a body may have a content type all the same.
    parsed = json.loads(text) if text and "json" in names.get("content-type", "") else text
    return Answer(response.status, names, parsed, text)
