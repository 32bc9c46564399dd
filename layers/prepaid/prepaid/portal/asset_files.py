"""GET /portal/assets/{name}: the stylesheet and the script. Browsers keep them forever: the name changes instead."""

from importlib.resources import files

from prepaid.api.http.problems import RouteNotFound
from prepaid.api.http.requests import Request
from prepaid.api.http.responses import Response
from prepaid.deps import Deps
from prepaid.portal.pages import PageRoute, security_headers
from prepaid.portal.rendering import asset

TYPES = {"portal.css": "text/css", "portal.js": "text/javascript"}


def show(request: Request, deps: Deps) -> Response:
    """GET /portal/assets/{name}."""
    assert deps.portal is not None
    for name, kind in TYPES.items():
        if asset(name) == f"/portal/assets/{request.path.get('name', '')}":
            headers = {
                **security_headers(deps.portal),
                "Content-Type": f"{kind}; charset=utf-8",
                "Cache-Control": "public, max-age=31536000, immutable",
            }
            text = files("prepaid.portal").joinpath("assets", name).read_text("utf-8")
            return Response(status=200, body=text, headers=headers)
    raise RouteNotFound("There is no such asset.")


SHOW = PageRoute(method="GET", path="/portal/assets/{name}", function=show)
