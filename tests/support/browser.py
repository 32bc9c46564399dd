"""A browser without a screen, for the page in this process: it keeps cookies, sends forms and follows redirects."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from html import unescape
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from tests.support.gateway_events import Context, http_event
from tests.support.iam_rights import acting_as
from tests.support.template import functions_by_route

FUNCTION_OF = functions_by_route()
MAX_REDIRECTS = 5
ORIGIN = "https://api.example.com"
OWN_FORM = {
    "sec-fetch-site": "same-origin",
    "origin": ORIGIN,
    "content-type": "application/x-www-form-urlencoded",
}


@dataclass(frozen=True)
class Form:
    """A form of a page: its target, and its fields with their present values."""

    method: str
    action: str
    fields: Mapping[str, str]


@dataclass(frozen=True)
class Page:
    """What the browser shows. path: in the address bar. cookies: that the response sets."""

    path: str
    status: int
    headers: Mapping[str, str]
    html: str
    cookies: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The text of the page."""
        body = re.sub(r"(?s)<(script|style|head)\b.*?</\1>", " ", self.html)
        return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())

    @property
    def forms(self) -> list[Form]:
        parser = _Forms()
        parser.feed(self.html)
        return [Form(method, action or self.path, fields) for method, action, fields in parser.found]

    def form(self, action: str) -> Form:
        """The form that goes to this path."""
        [found] = [form for form in self.forms if form.action == action]
        return found


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str, dict[str, str]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.found.append((given.get("method", "get").upper(), given.get("action", ""), {}))
        elif tag == "input" and self.found and "name" in given:
            self.found[-1][2][given["name"]] = given.get("value", "")


@dataclass
class Browser:
    """One person's browser. functions: their handlers, by name. headers: what it sends with each request."""

    functions: Mapping[str, Callable[[Any, Any], dict[str, Any]]]
    cookies: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=lambda: {"accept-language": "pt-BR,pt;q=0.9"})

    def open(self, address: str, *, method: str = "GET") -> Page:
        """Go to an address, from a link or by hand."""
        return self._follow(method, address, None, {"sec-fetch-site": "none"})

    def send(self, form: Form, **fields: str) -> Page:
        """Send a form of a page, with these fields filled in."""
        values = {**form.fields, **fields}
        if form.method == "GET":
            return self.open(f"{form.action}?{urlencode(values)}")
        return self._follow(form.method, form.action, urlencode(values), OWN_FORM)

    def _follow(self, method: str, address: str, body: str | None, headers: Mapping[str, str]) -> Page:
        for _ in range(MAX_REDIRECTS):
            page = self.request(method, address, body=body, headers=headers)
            if page.status != 303 or not page.headers["location"].startswith("/"):
                return page
            method, address, body = "GET", page.headers["location"], None
        raise AssertionError("redirects in a circle")

    def request(
        self, method: str, address: str, *, body: str | None = None, headers: Mapping[str, str] | None = None
    ) -> Page:
        """One request, without following a redirect."""
        parts = urlsplit(address)
        route, path = _route(method, parts.path)
        event = http_event(
            route,
            path=path,
            query=dict(parse_qsl(parts.query, keep_blank_values=True)),
            headers={**self.headers, **(headers or {})},
            claims=None,
            # As API Gateway sends what isn't declared as text.
            body=body.encode() if body is not None else None,
        )
        event["rawPath"] = parts.path
        event["requestContext"]["http"].update(method=method, path=parts.path)
        if self.cookies:
            event["cookies"] = [f"{name}={value}" for name, value in self.cookies.items()]
        function = FUNCTION_OF[route]
        with acting_as(function):
            response = self.functions[function](event, Context())
        cookies = tuple(response.get("cookies", ()))
        self._keep(cookies)
        answered = {name.lower(): value for name, value in response["headers"].items()}
        return Page(address, response["statusCode"], answered, response.get("body", ""), cookies)

    def _keep(self, cookies: tuple[str, ...]) -> None:
        for cookie in cookies:
            pair, *attributes = cookie.split("; ")
            name, _, value = pair.partition("=")
            if "Max-Age=0" in attributes:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value


def _route(method: str, path: str) -> tuple[str, dict[str, Any]]:
    # As API Gateway chooses: the most specific path, and a method before any method.
    for route in sorted(FUNCTION_OF, key=lambda route: ("+}" in route, "{" in route, route.startswith("ANY "))):
        verb, _, pattern = route.partition(" ")
        single = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", pattern)
        found = re.fullmatch(re.sub(r"\{(\w+)\+\}", r"(?P<\1>.+)", single), path)
        if verb in (method, "ANY") and found:
            return route, found.groupdict()
    raise AssertionError(f"no route for {method} {path}")
