"""GET /portal/assets/{name}: the stylesheet and the script. Browsers keep them forever, as their names have a hash."""

from prepaid.api.http.problems import RouteNotFound
from prepaid.api.http.requests import Request
from prepaid.api.http.responses import Response
from prepaid.deps import Deps
from prepaid.portal.page_routes import PageRoute
from prepaid.portal.pages import security_headers
from prepaid.portal.rendering import STYLESHEET, asset, asset_text
from prepaid.portal_config import PortalConfig

TYPES = {STYLESHEET: "text/css", "portal.js": "text/javascript"}


def show(request: Request, _deps: Deps, portal: PortalConfig) -> Response:
    """GET /portal/assets/{name}."""
    accent, accent_dark = portal.accent, portal.accent_dark
    for name, kind in TYPES.items():
        if asset(name, accent, accent_dark) == f"/portal/assets/{request.path.get('name', '')}":
            headers = {
                **security_headers(portal),
                "Content-Type": f"{kind}; charset=utf-8",
                "Cache-Control": "public, max-age=31536000, immutable",
            }
            return Response(status=200, body=asset_text(name, accent, accent_dark), headers=headers)
    raise RouteNotFound("There is no such asset.")


SHOW = PageRoute(method="GET", path="/portal/assets/{name}", respond=show)
