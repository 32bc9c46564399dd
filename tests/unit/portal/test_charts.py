"""Charts: each size is in proportion to its number, and no text becomes markup."""

import re
import xml.etree.ElementTree as ET

import pytest

from prepaid.portal.charts import MAX_PARTS, Chart, line, scale_top, stacked_bars, swatch

SVG = "{http://www.w3.org/2000/svg}"


def drawn(chart: Chart) -> ET.Element:
    return ET.fromstring(  # noqa: S314 - our own drawing
        str(chart.svg).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    )


def bars(*columns: tuple[int, ...]) -> Chart:
    return stacked_bars(columns, [f"note {index}" for index in range(len(columns))], name="use", title="T", text="D")


def parts(chart: Chart) -> list[tuple[str, str, str]]:
    """The colour, top and height of each part of a bar."""
    rects = drawn(chart).iter(f"{SVG}rect")
    return [
        (rect.attrib["class"], rect.attrib["y"], rect.attrib["height"])
        for rect in rects
        if rect.attrib.get("class", "").startswith("part ")
    ]


@pytest.mark.parametrize(
    ("highest", "top"),
    [(0, 2), (1, 2), (2, 2), (3, 4), (9, 10), (10, 10), (11, 20), (101, 150), (150, 150), (378, 400), (10**9, 10**9)],
)
def test_a_scale_ends_with_a_readable_number(highest: int, top: int) -> None:
    assert scale_top(highest) == top


def test_a_scale_has_a_whole_middle_and_holds_the_highest() -> None:
    tops = {highest: scale_top(highest) for highest in range(2500)}

    assert [highest for highest, top in tops.items() if top % 2] == []
    assert [highest for highest, top in tops.items() if not highest <= top <= max(2, 2 * highest)] == []


def test_the_parts_of_a_bar_stand_on_each_other() -> None:
    chart = bars((30, 10), (0, 20))

    assert chart.scale == (40, 20, 0)
    assert parts(chart) == [
        ("part part-0", "25.00%", "75.00%"),
        ("part part-1", "0.00%", "25.00%"),
        ("part part-1", "50.00%", "50.00%"),
    ]


def test_a_month_without_use_keeps_its_place() -> None:
    columns = list(drawn(bars((0,), (5,), (0,))).iter(f"{SVG}g"))

    assert [group.findtext(f"{SVG}title") for group in columns] == ["note 0", "note 1", "note 2"]
    assert [len(group.findall(f"{SVG}rect[@y]")) for group in columns] == [0, 1, 0]


def test_parts_differ_without_their_colours() -> None:
    svg = bars(tuple(range(1, MAX_PARTS + 1))).svg
    patterns = dict(re.findall(r'<pattern id="(part-\d)".*?d="(.*?)"', svg))

    assert len(set(patterns.values())) == MAX_PARTS - 1
    assert re.findall(r'fill="url\(#(part-\d)\)"', svg) == list(patterns)
    assert len({re.sub("part-[0-9]", "", swatch(part)) for part in (0, 1)}) == 2


def test_a_line_goes_through_each_balance() -> None:
    chart = line([0, 50, 100], ["a", "b", "c"], name="balance", title="T", text="D")
    points = [(point.attrib["cx"], point.attrib["cy"]) for point in drawn(chart).iter(f"{SVG}circle")]

    assert chart.scale == (100, 50, 0)
    assert points == [("16.67%", "100.00%"), ("50.00%", "50.00%"), ("83.33%", "0.00%")]
    assert len(list(drawn(chart).iterfind(f".//{SVG}line[@class='curve']"))) == 2


def test_a_chart_has_a_title_and_a_description() -> None:
    root = drawn(bars((1,)))

    ids = {element.attrib["id"]: element.text for element in root if "id" in element.attrib}
    assert root.attrib["role"] == "img"
    assert [ids[name] for name in root.attrib["aria-labelledby"].split()] == ["T", "D"]


def test_a_text_in_a_chart_is_no_markup() -> None:
    evil = '<script>"&'

    bar = stacked_bars([(1,)], [evil], name="use", title=evil, text=evil)
    curve = line([1], [evil], name="balance", title=evil, text=evil)

    for chart in (bar, curve):
        assert "<script" not in chart.svg
        assert drawn(chart).findtext(f"{SVG}title") == evil
