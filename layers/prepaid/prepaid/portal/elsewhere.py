"""Every other request below /portal: for an address that the page doesn't have, or with another method.

Without these routes, API Gateway itself would respond: with JSON, and without the page's security headers.
"""

import re
from dataclasses import replace

from prepaid.api.http.problems import RouteNotFound
from prepaid.api.http.requests import Request
from prepaid.api.http.responses import Response
from prepaid.deps import Deps
from prepaid.portal.page_routes import PageRoute
from prepaid.portal.pages import redirect
from prepaid.portal_config import PortalConfig


def routes_around(pages: tuple[PageRoute, ...]) -> tuple[PageRoute, PageRoute]:
    """The routes for every request that `pages` don't serve."""

    def respond(request: Request, deps: Deps, portal: PortalConfig) -> Response:
        """HEAD of a page: the headers of its GET. The address of a form: back to the first page. Else: not found."""
        subpath = request.path.get("proxy")
        for page in pages if request.method in ("GET", "HEAD") else ():
            match = _pattern(page).fullmatch(f"/portal/{subpath}" if subpath else "/portal")
            if match and page.method == "GET":
                return page.respond(replace(request, path=match.groupdict()), deps, portal)
            if match and page.method == "POST":
                # A reload or a bookmark of a form that was sent.
                return redirect("/portal", portal)
        raise RouteNotFound("There is no such page.")

    return (
        PageRoute(method="ANY", path="/portal", respond=respond),
        PageRoute(method="ANY", path="/portal/{proxy+}", respond=respond),
    )


def _pattern(page: PageRoute) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", page.path))
