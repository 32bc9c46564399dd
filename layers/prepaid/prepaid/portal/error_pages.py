"""Pages for errors: what happened, in the reader's language, with links to the page's tabs or to the platform."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from prepaid.api.http.problems import code_of, problem_response
from prepaid.api.http.requests import Request, request_from
from prepaid.api.http.responses import Response
from prepaid.core.errors import Busy, PortalLinkInvalid, PortalLinkUsed, PortalSessionEnded, Unavailable
from prepaid.core.portal import PortalSession
from prepaid.deps import Deps, with_earlier_deadline
from prepaid.portal.languages import accepted_language
from prepaid.portal.pages import html, session_token
from prepaid.portal.rendering import render
from prepaid.portal.visits import page, visit_of
from prepaid.portal_config import PortalConfig
from prepaid.store.portal import read_portal_session
from prepaid.use_cases.approving import token_digest

# Errors that have a page of their own; all others share one.
PAGES = {
    "body_too_large": "forbidden",
    "busy": "busy",
    "forbidden": "forbidden",
    "invalid_request": "invalid",
    "malformed_body": "forbidden",
    "not_found": "not_found",
    "purchase_not_found": "not_found",
    "portal_link_invalid": "link_invalid",
    "portal_link_used": "link_used",
    "portal_session_ended": "session_ended",
    "payments_unavailable": "busy",
}
# Errors that a manager can do something about. They are shown within the session's frame.
IN_SESSION = ("forbidden", "invalid", "not_found")
# An error page doesn't wait longer for the session.
SECONDS = 1.0


def error_page(error: Exception, event: Mapping[str, Any], deps: Deps, portal: PortalConfig) -> Response:
    """The page of an error. It reveals nothing about an unexpected error."""
    problem, page_name = problem_response(error), PAGES.get(code_of(error), "internal")
    headers = {name: value for name, value in problem.headers.items() if name != "Content-Type"}
    # Without its body, which may be the error.
    request = request_from({**event, "body": ""}, deps.clock(), 0)
    deps = with_earlier_deadline(deps, SECONDS)
    response = _in_session(page_name, request, deps, portal) if page_name in IN_SESSION else None
    if response is None:
        language, return_url = _reader(error, request, deps, portal)
        values = {"what": page_name, "return_url": return_url, "request_id": request.id}
        body = render("error.html", language, "UTC", values, portal)
        response = html(body, portal)
    return replace(response, status=problem.status, headers={**response.headers, **headers})


def _in_session(page_name: str, request: Request, deps: Deps, portal: PortalConfig) -> Response | None:
    """The page within the frame of the open session; None without one."""
    try:
        visit = visit_of(request, deps)
    except (PortalSessionEnded, Busy):
        return None
    values = {"tab": None, "here": "/portal", "what": page_name, "request_id": request.id}
    return page("error_in_session.html", visit, portal, values)


def _reader(error: Exception, request: Request, deps: Deps, portal: PortalConfig) -> tuple[str, str]:
    """The reader's language, and the way back to the platform."""
    if isinstance(error, PortalLinkUsed):
        return error.language, error.return_url
    # The page of an unknown link must not depend on a session, and a busy database isn't read again.
    may_read_session = not isinstance(error, PortalLinkInvalid | Unavailable)
    session = _session_of(request, deps) if may_read_session else None
    if session:
        return session.language, session.return_url
    return accepted_language(request.headers.get("accept-language", "")), portal.return_url


def _session_of(request: Request, deps: Deps) -> PortalSession | None:
    """The session of the browser, even one that has ended."""
    token = session_token(request)
    try:
        return read_portal_session(deps.table, token_digest(token)) if token else None
    except Busy:
        return None
