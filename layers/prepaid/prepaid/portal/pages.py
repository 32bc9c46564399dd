"""Pages over HTTP: HTML with its security headers, cookies and forms."""

import hmac
import re
from collections.abc import Mapping
from html import escape
from urllib.parse import parse_qsl

from prepaid.api.http.problems import Forbidden, Malformed
from prepaid.api.http.requests import Request
from prepaid.api.http.responses import Response
from prepaid.core.portal import IDLE
from prepaid.portal_config import PortalConfig

# __Host-: the browser accepts it only from this host, over HTTPS, for every path.
# https://developer.mozilla.org/docs/Web/HTTP/Reference/Headers/Set-Cookie#cookie_prefixes
COOKIE = "__Host-prepaid"
TOKEN = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
FORM_TYPE = "application/x-www-form-urlencoded"
MAX_FIELDS = 20
CODE = re.compile(r"[0-9]{6}", re.ASCII)
# Characters that people type, or copying adds, between the digits of a code.
BETWEEN_DIGITS = re.compile(r"[\s.\-\u200b\u00a0]+")


def html(
    body: str,
    portal: PortalConfig,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    cookies: tuple[str, ...] = (),
) -> Response:
    """A page with every security header."""
    return Response(
        status=status,
        body=body,
        headers={"Content-Type": "text/html; charset=utf-8", **security_headers(portal), **(headers or {})},
        cookies=cookies,
    )


def redirect(path: str, portal: PortalConfig, *, cookies: tuple[str, ...] = ()) -> Response:
    """A redirect from a form to the page after it, so that a reload doesn't send the form again."""
    headers = {**security_headers(portal), "Location": path, "Content-Type": "text/html; charset=utf-8"}
    link = f'<!doctype html><title>303</title><a href="{escape(path)}">{escape(path)}</a>'
    return Response(status=303, body=link, headers=headers, cookies=cookies)


def security_headers(portal: PortalConfig) -> dict[str, str]:
    """The headers of every response of the page. CSP: https://owasp.org/www-project-secure-headers/."""
    # Only the pictures themselves, not everything at their site.
    logos = [f" {logo}" for logo in (portal.logo, portal.logo_dark) if logo and not logo.startswith("/")]
    # Chromium applies form-action to the redirect after a form as well, so it must name the payment page.
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; "
        f"img-src 'self' data:{''.join(logos)}; connect-src 'self'; "
        f"form-action 'self' {portal.checkout_origin}; "
        f"frame-ancestors {' '.join(portal.embed_origins) or "'none'"}; base-uri 'none'"
    )
    headers = {
        "Content-Security-Policy": policy,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=()",
        "X-Robots-Tag": "noindex",
        "Strict-Transport-Security": "max-age=31536000",
    }
    # X-Frame-Options knows no list of sites, so it is left out where the page may be embedded.
    return headers if portal.embed_origins else {**headers, "X-Frame-Options": "DENY"}


def session_token(request: Request) -> str | None:
    """The token in the session's cookie; None without one."""
    # API Gateway sends cookies in a separate list, the emulator in the header.
    cookies = request.cookies or tuple(request.headers.get("cookie", "").split(";"))
    for cookie in cookies:
        name, _, value = cookie.strip().partition("=")
        if name == COOKIE and TOKEN.fullmatch(value):
            return value
    return None


def session_cookie(token: str) -> str:
    """The cookie of an open session. Lax, because the way back from the payment page is a link from another site."""
    return _cookie(token, int(IDLE.total_seconds()))


def ended_cookie() -> str:
    """The cookie that deletes the session's cookie."""
    return _cookie("", 0)


def _cookie(value: str, max_age_seconds: int) -> str:
    return f"{COOKIE}={value}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={max_age_seconds}"


def form_of(request: Request, portal: PortalConfig) -> dict[str, str]:
    """The fields of a form that this page sent. Raises Forbidden for another site's form, Malformed."""
    _check_same_origin(request, portal)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM_TYPE:
        raise Malformed(f"Send the form as {FORM_TYPE}.")
    try:
        pairs = parse_qsl(
            request.body.decode("ascii"),
            keep_blank_values=True,
            encoding="utf-8",
            errors="strict",
            max_num_fields=MAX_FIELDS,
        )
    except ValueError:
        raise Malformed("The form is not valid in its encoding.") from None
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise Malformed("The form names a field twice.")
    return fields


def _check_same_origin(request: Request, portal: PortalConfig) -> None:
    """Reject a form that another site's page sends. Every browser since 2023 sends Sec-Fetch-Site.

    https://cheatsheetseries.owasp.org/cheatsheets/Cross-Site_Request_Forgery_Prevention_Cheat_Sheet.html
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        if site != "same-origin":
            raise Forbidden("This form was sent by another site.")
        return
    origin = portal.url or f"https://{request.domain}"
    if request.headers.get("origin") != origin:
        raise Forbidden("This form was sent by another site.")


def typed_code(fields: Mapping[str, str]) -> str | None:
    """The manager's code in a form; None if what was typed can't be a code. No try is counted for that."""
    code = BETWEEN_DIGITS.sub("", fields.get("code", ""))
    return code if CODE.fullmatch(code) else None


def form_token(token: str, form: str) -> str:
    """The token that this session's forms carry: a second protection against forms of other sites."""
    return hmac.digest(token.encode(), f"form\n{form}".encode(), "sha256").hex()


def check_form_token(fields: Mapping[str, str], token: str, form: str) -> None:
    """Reject a form that wasn't made for this session. Raises Forbidden."""
    if not hmac.compare_digest(fields.get("form_token", "").encode(), form_token(token, form).encode()):
        raise Forbidden("This form belongs to another session.")
