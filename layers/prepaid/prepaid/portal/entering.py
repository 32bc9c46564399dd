"""/portal/enter, /portal/leave, /portal/language: the one-time link, the manager's code, and the end of the session."""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from prepaid.api.http.requests import Request
from prepaid.api.http.responses import Response
from prepaid.core.errors import CodeLocked, InvalidRequest, PortalLinkInvalid, PortalLinkUsed, WrongCode
from prepaid.core.languages import LANGUAGES
from prepaid.core.portal import PortalLink
from prepaid.deps import Deps
from prepaid.portal.page_routes import PageRoute
from prepaid.portal.pages import (
    TOKEN,
    check_form_token,
    ended_cookie,
    form_of,
    html,
    redirect,
    session_cookie,
    session_token,
    typed_code,
)
from prepaid.portal.rendering import render
from prepaid.portal.visits import signed_in
from prepaid.portal_config import PortalConfig
from prepaid.store.accounts import read_account
from prepaid.store.portal import delete_session, update_session
from prepaid.use_cases.approving import token_digest
from prepaid.use_cases.entering import enter, open_link


def show_code_form(request: Request, deps: Deps, portal: PortalConfig) -> Response:
    """GET /portal/enter/{token}: the form for the code. Changes nothing, whoever fetches it."""
    link = open_link(deps.table, _token_of(request), now=request.now)
    return _form(link, deps, portal)


def submit_code(request: Request, deps: Deps, portal: PortalConfig) -> Response:
    """POST /portal/enter/{token}: with the right code, opens the session and goes to the page."""
    fields = form_of(request, portal)
    try:
        link = open_link(deps.table, _token_of(request), now=request.now)
    except PortalLinkUsed:
        if session_token(request):
            # A second click, or Back. This browser has the session that the link opened, or one that has ended.
            return redirect("/portal", portal)
        raise
    code = typed_code(fields)
    if code is None:
        return _form(link, deps, portal, status=422, problem="code_six_digits")
    try:
        previous_token = session_token(request)
        entered = enter(
            deps.table, link, code, deps.codes(deps.table.deadline), now=request.now, instead_of=previous_token
        )
    except WrongCode as error:
        return _form(link, deps, portal, status=403, problem="code_wrong", tries_left=error.tries_left)
    except CodeLocked as error:
        wait_seconds = error.retry_after_seconds
        until, headers = request.now + timedelta(seconds=wait_seconds), {"Retry-After": str(wait_seconds)}
        return _form(link, deps, portal, status=429, problem="code_locked", locked_until=until, headers=headers)
    return redirect("/portal", portal, cookies=(session_cookie(entered.token),))


def leave(request: Request, deps: Deps, portal: PortalConfig) -> Response:
    """POST /portal/leave: ends the session."""
    signed, fields = signed_in(request, deps), form_of(request, portal)
    check_form_token(fields, signed.token, "leave")
    delete_session(deps.table, token_digest(signed.token))
    # The page shows no time.
    body = render("left.html", signed.session.language, "UTC", {"return_url": signed.session.return_url}, portal)
    return html(body, portal, cookies=(ended_cookie(),))


def change_language(request: Request, deps: Deps, portal: PortalConfig) -> Response:
    """POST /portal/language: the session's language, kept for its other pages."""
    signed, fields = signed_in(request, deps), form_of(request, portal)
    check_form_token(fields, signed.token, "language")
    language, back = fields.get("language"), fields.get("back", "")
    if language not in LANGUAGES:
        raise InvalidRequest((("language", f"must be one of {', '.join(LANGUAGES)}"),))
    update_session(deps.table, replace(signed.session, language=language))
    # Only to a page of this site: a path with one slash, and no other host.
    return redirect(back if re.fullmatch(r"/portal(/[\w./?=&%-]*)?", back, re.ASCII) else "/portal", portal)


def _token_of(request: Request) -> str:
    token = request.path.get("token", "")
    if not TOKEN.fullmatch(token):
        raise PortalLinkInvalid
    return token


def _form(
    link: PortalLink,
    deps: Deps,
    portal: PortalConfig,
    *,
    status: int = 200,
    problem: str | None = None,
    tries_left: int | None = None,
    locked_until: datetime | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The code form. problem: the name of the text about the last code, if it was rejected."""
    terms, profile = read_account(deps.table, link.account)
    values = {
        "account_name": profile.name,
        "manager_contact": profile.manager_contact,
        "return_url": link.return_url,
        "problem": problem,
        "tries_left": tries_left,
        "locked_until": locked_until,
    }
    body = render("enter.html", link.language, terms.time_zone, values, portal)
    return html(body, portal, status=status, headers=headers)


SHOW_CODE_FORM = PageRoute(method="GET", path="/portal/enter/{token}", respond=show_code_form)
# Link previews and scanners send HEAD first.
SHOW_CODE_FORM_HEAD = PageRoute(method="HEAD", path="/portal/enter/{token}", respond=show_code_form)
SUBMIT_CODE = PageRoute(method="POST", path="/portal/enter/{token}", respond=submit_code)
LEAVE = PageRoute(method="POST", path="/portal/leave", respond=leave)
CHANGE_LANGUAGE = PageRoute(method="POST", path="/portal/language", respond=change_language)
