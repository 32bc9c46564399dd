"""Pages for errors: what happened, in the reader's language, and a link back to the platform."""

from prepaid.api.http.problems import code_of
from prepaid.core.errors import PortalLinkUsed
from prepaid.portal.languages import accepted_language
from prepaid.portal.rendering import render
from prepaid.portal_config import PortalConfig

# Errors that have a page of their own; all others share one.
PAGES = {
    "busy": "busy",
    "forbidden": "forbidden",
    "malformed_body": "forbidden",
    "not_found": "not_found",
    "purchase_not_found": "not_found",
    "portal_link_invalid": "link_invalid",
    "portal_link_used": "link_used",
    "portal_session_ended": "session_ended",
    "payments_unavailable": "busy",
}


def error_page(error: Exception, accepted: str, portal: PortalConfig) -> str:
    """The page of an error. accepted: the browser's Accept-Language. It reveals nothing about an unexpected error."""
    language, return_url = accepted_language(accepted), portal.return_url
    if isinstance(error, PortalLinkUsed):
        language, return_url = error.language, error.return_url
    values = {"what": PAGES.get(code_of(error), "internal"), "return_url": return_url}
    return render("error.html", language, "UTC", values, portal)
