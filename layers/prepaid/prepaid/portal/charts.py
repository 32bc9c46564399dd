"""Charts as SVG text. Their labels are HTML beside them, because text inside a drawing shrinks with it on a phone.

Every length is a percentage of the drawing, so a chart fills its container. Colours are classes of portal.css. The
parts of a bar also have patterns, so that they differ without colour.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup

# The patterns of portal.css's colours, in the legend's order. The first part is plain.
PATTERNS = (
    "",
    "M-2 2L2 -2M0 8L8 0M6 10L10 6",
    "M2 2h2v2h-2zM6 6h2v2h-2z",
    "M0 2H8M0 6H8",
    "M-2 6L2 10M0 0L8 8M6 -2L10 2",
    "M0 2H8M2 0V8",
)
MAX_PARTS = len(PATTERNS)
# The gap on each side of a bar, as a share of its column.
GAP = 0.18
STEPS = (2, 4, 6, 8, 10)
STEPS_FROM_TEN = (10, 15, 20, 30, 40, 50, 60, 80, 100)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """scale: the numbers at its three lines, highest first."""

    svg: Markup
    scale: tuple[int, int, int]


def scale_top(highest: int) -> int:
    """The even number at the top of a scale that begins at 0: the smallest readable one >= `highest`."""
    for step in STEPS:
        if highest <= step:
            return step
    power: int = 10 ** (len(str(highest - 1)) - 2)
    return next(step * power for step in STEPS_FROM_TEN if step * power >= highest and step * power % 2 == 0)


def stacked_bars(columns: Sequence[Sequence[int]], notes: Sequence[str], *, name: str, title: str, text: str) -> Chart:
    """Bars side by side. columns: the parts of each bar, lowest first, all >= 0.

    notes: tooltips, one for each bar. name: an id on the page, without spaces. title, text: for screen readers.
    """
    top = scale_top(max((sum(parts) for parts in columns), default=0))
    bars = Markup().join(
        Markup('<g><title>{}</title><rect class="column" x="{}" width="{}" height="100%"/>{}</g>').format(
            note, _share(index, len(columns)), _share(1, len(columns)), _bar(parts, top, index, len(columns))
        )
        for index, (parts, note) in enumerate(zip(columns, notes, strict=True))
    )
    return Chart(svg=_drawing(_patterns() + _grid() + bars, name, title, text), scale=(top, top // 2, 0))


def line(values: Sequence[int], notes: Sequence[str], *, name: str, title: str, text: str) -> Chart:
    """A line through one point for each value, which is >= 0. The other arguments are those of stacked_bars."""
    top = scale_top(max(values))
    count = len(values)
    points = [
        (_share(index + 0.5, count), _share(top - value, top), note)
        for index, (value, note) in enumerate(zip(values, notes, strict=True))
    ]
    lines = Markup().join(
        Markup('<line class="curve" x1="{}" y1="{}" x2="{}" y2="{}"/>').format(*start[:2], *end[:2])
        for start, end in pairwise(points)
    )
    dots = Markup().join(
        Markup('<circle class="point" cx="{}" cy="{}" r="4"><title>{}</title></circle>').format(*point)
        for point in points
    )
    svg = _drawing(_grid() + _area(values, top) + lines + dots, name, title, text)
    return Chart(svg=svg, scale=(top, top // 2, 0))


def swatch(part: int) -> Markup:
    """A small sample of a part, for the legend."""
    return Markup('<svg class="swatch" width="14" height="14" aria-hidden="true">{}</svg>').format(
        _painted(part, Markup('width="14" height="14"'))
    )


def _drawing(content: Markup, name: str, title: str, text: str) -> Markup:
    return Markup(
        '<svg class="chart" role="img" aria-labelledby="{0}-title {0}-text" width="100%" height="100%">'
        '<title id="{0}-title">{1}</title><desc id="{0}-text">{2}</desc>{3}</svg>'
    ).format(name, title, text, content)


def _patterns() -> Markup:
    return Markup("<defs>{}</defs>").format(
        Markup().join(
            Markup(
                '<pattern id="part-{}" width="8" height="8" patternUnits="userSpaceOnUse"><path class="hatch" d="{}"/>'
                "</pattern>"
            ).format(part, path)
            for part, path in enumerate(PATTERNS)
            if path
        )
    )


def _grid() -> Markup:
    return Markup().join(
        Markup('<line class="grid" x1="0" x2="100%" y1="{0}" y2="{0}"/>').format(height)
        for height in ("0%", "50%", "100%")
    )


def _bar(parts: Sequence[int], top: int, index: int, count: int) -> Markup:
    bar, top_of_part = Markup(), 0
    for part, value in enumerate(parts):
        top_of_part += value
        if value:
            geometry = Markup('x="{}" y="{}" width="{}" height="{}"').format(
                _share(index + GAP, count),
                _share(top - top_of_part, top),
                _share(1 - 2 * GAP, count),
                _share(value, top),
            )
            bar += _painted(part, geometry)
    return bar


def _painted(part: int, geometry: Markup) -> Markup:
    colour = Markup('<rect class="part part-{}" {}/>').format(part, geometry)
    hatched = Markup('<rect fill="url(#part-{})" {}/>').format(part, geometry) if PATTERNS[part] else Markup()
    return colour + hatched


def _area(values: Sequence[int], top: int) -> Markup:
    """The area below the line. It is stretched to fill the drawing; without an outline, that doesn't distort it."""
    points = [(index + 0.5, value) for index, value in enumerate(values)]
    corners = [(points[0][0], 0), *points, (points[-1][0], 0)]
    return Markup(
        '<svg viewBox="0 0 {} 100" preserveAspectRatio="none" width="100%" height="100%">'
        '<polygon class="area" points="{}"/></svg>'
    ).format(len(values), " ".join(f"{x:g},{100 - 100 * y / top:.2f}" for x, y in corners))


def _share(part: float, total: int) -> str:
    return f"{100 * part / total:.2f}%"
