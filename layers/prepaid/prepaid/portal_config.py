"""The parameters of the subscription page."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalConfig:
    """The parameters of the subscription page, from the settings.

    url: of the page, without a path; "" for the API's own address. return_url: the way back to the platform.
    return_origins: where else a link may lead back to. checkout_origin: of the payment pages.
    embed_origins: the sites that may show the page in a frame. accent, accent_dark: the platform's colour in light and
    in dark, such as #14614b; "" for the page's own, and for the same one in dark. name: of the platform; "" for none.
    logo, logo_dark: the address of its picture, at any site or a path of the page's own; "" for none, and for the same
    one in dark.
    """

    url: str
    return_url: str
    return_origins: tuple[str, ...]
    checkout_origin: str
    embed_origins: tuple[str, ...]
    accent: str
    accent_dark: str
    name: str
    logo: str
    logo_dark: str
