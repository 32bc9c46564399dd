"""A platform's own colour on the page: the text colour on it, and where it is too pale or too dark to be read."""

from dataclasses import dataclass
from functools import cache

# https://www.w3.org/TR/WCAG22/#contrast-minimum
LEAST_CONTRAST = 4.5
INK_ON_PALE, INK_ON_DARK = "#000000", "#ffffff"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """The colours of portal.css for light or dark. backgrounds: all on which text in the accent's colour appears."""

    ink: str
    backgrounds: tuple[str, ...]


LIGHT = Scheme(ink="#1a1d21", backgrounds=("#f5f4f0", "#ffffff", "#fff3d6", "#fde8e4", "#e3f0ff"))
DARK = Scheme(ink="#eceef1", backgrounds=("#131518", "#1c1f24", "#3a2f14", "#42201b", "#16293f"))


@cache
def accent_css(light: str, dark: str) -> str:
    """The CSS rule that replaces the page's own colours by a platform's, such as #14614b.

    Buttons always have the colour, with black or white text. Links and drawings have it only where it is readable.
    """
    pairs = {
        "--accent": (light, dark),
        "--on-accent": (_ink_on(light), _ink_on(dark)),
        "--accent-ink": (_readable(light, LIGHT), _readable(dark, DARK)),
    }
    rules = " ".join(f"{name}: light-dark({on_light}, {on_dark});" for name, (on_light, on_dark) in pairs.items())
    return f":root {{ {rules} }}\n"


def contrast(first: str, second: str) -> float:
    """WCAG's contrast of two colours, from 1 to 21."""
    darker, lighter = sorted((_luminance(first), _luminance(second)))
    return (lighter + 0.05) / (darker + 0.05)


def _ink_on(colour: str) -> str:
    """Black or white: one of them has enough contrast with any colour."""
    return max(INK_ON_PALE, INK_ON_DARK, key=lambda ink: contrast(ink, colour))


def _readable(colour: str, scheme: Scheme) -> str:
    lowest_contrast = min(contrast(colour, background) for background in scheme.backgrounds)
    return colour if lowest_contrast >= LEAST_CONTRAST else scheme.ink


def _luminance(colour: str) -> float:
    """https://www.w3.org/TR/WCAG22/#dfn-relative-luminance."""
    red, green, blue = (_linear(int(colour[start : start + 2], 16) / 255) for start in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(share: float) -> float:
    return share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4  # noqa: PLR2004 - the standard's
