"""Routes of the page. Each returns a page, also for its errors."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from prepaid.api.http.requests import Request
from prepaid.api.http.responses import Response
from prepaid.deps import Deps
from prepaid.portal.error_pages import error_page
from prepaid.portal_config import PortalConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRoute:
    """A route of the page. respond: called with the page's own configuration. deadline_seconds: as in Route."""

    method: Literal["GET", "HEAD", "POST", "ANY"]
    path: str
    respond: Callable[[Request, Deps, PortalConfig], Response]
    deadline_seconds: float | None = None

    @property
    def key(self) -> str:
        """The route's key in API Gateway's events: method and path."""
        return f"{self.method} {self.path}"

    def function(self, request: Request, deps: Deps) -> Response:
        """The response to a request."""
        return self.respond(request, deps, _portal_of(deps))

    def refuse(self, error: Exception, event: Mapping[str, Any], deps: Deps) -> Response:
        """The response to an error: a page too."""
        return error_page(error, event, deps, _portal_of(deps))


def _portal_of(deps: Deps) -> PortalConfig:
    """The page's configuration, which every function that serves its routes has."""
    assert deps.portal is not None
    return deps.portal
