"""A platform's colour on the page: words on it and in it can be read, whatever colour it is."""

import re

import pytest

from prepaid.portal.accent import DARK, INK_ON_DARK, INK_ON_PALE, LEAST_CONTRAST, LIGHT, accent_css, contrast
from prepaid.portal.rendering import STYLESHEET, asset, asset_text

COLOURS = ["#000000", "#ffffff", "#ff0000", "#00ff00", "#0000ff", "#777777", "#ffcc00", "#14614b", "#6fd3b1"]


def rule(light: str, dark: str) -> dict[str, tuple[str, str]]:
    found = re.findall(r"(--[\w-]+): light-dark\((#\w+), (#\w+)\)", accent_css(light, dark))
    return {name: (on_light, on_dark) for name, on_light, on_dark in found}


def own_colours() -> dict[str, tuple[str, str]]:
    """The colours of portal.css by name, in six digits."""
    found = re.findall(r"(--[\w-]+): light-dark\((#\w+), (#\w+)\)", asset_text(STYLESHEET, "", ""))
    return {name: (six(on_light), six(on_dark)) for name, on_light, on_dark in found}


def six(colour: str) -> str:
    return colour if len(colour) == len("#rrggbb") else "#" + "".join(digit * 2 for digit in colour[1:])


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("#000000", "#ffffff", 21.0),
        ("#777777", "#ffffff", 4.48),
        ("#123456", "#123456", 1.0),
        ("#ff0000", "#ffffff", 4.0),
    ],
)
def test_contrast_is_computed_as_wcag_defines_it(first: str, second: str, expected: float) -> None:
    assert round(contrast(first, second), 2) == expected
    assert contrast(first, second) == contrast(second, first)


@pytest.mark.parametrize("colour", COLOURS)
def test_words_on_a_button_can_be_read(colour: str) -> None:
    accent, ink = rule(colour, colour)["--accent"], rule(colour, colour)["--on-accent"]

    assert accent == (colour, colour)
    assert set(ink) <= {INK_ON_PALE, INK_ON_DARK}
    assert contrast(ink[0], colour) >= LEAST_CONTRAST


@pytest.mark.parametrize("colour", COLOURS)
def test_links_can_be_read_on_every_background(colour: str) -> None:
    in_light, in_dark = rule(colour, colour)["--accent-ink"]

    assert all(contrast(in_light, background) >= LEAST_CONTRAST for background in LIGHT.backgrounds)
    assert all(contrast(in_dark, background) >= LEAST_CONTRAST for background in DARK.backgrounds)


def test_a_readable_colour_is_used_for_links() -> None:
    assert rule("#14614b", "#6fd3b1")["--accent-ink"] == ("#14614b", "#6fd3b1")
    assert rule("#ffcc00", "#14614b")["--accent-ink"] == (LIGHT.ink, DARK.ink)


def test_the_backgrounds_are_those_of_the_stylesheet() -> None:
    own = own_colours()

    for place, scheme in enumerate((LIGHT, DARK)):
        names = ("--paper", "--card", "--warn", "--bad", "--wait")
        assert scheme.backgrounds == tuple(own[name][place] for name in names)
        assert scheme.ink == own["--ink"][place]


def test_another_colour_is_another_address() -> None:
    addresses = {asset(STYLESHEET, *colours) for colours in (("", ""), ("#14614b", ""), ("#14614b", "#6fd3b1"))}

    assert len(addresses) == 3
    assert asset("portal.js", "", "") == asset("portal.js", "#14614b", "")
