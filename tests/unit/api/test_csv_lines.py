"""Cells of a CSV file: no text is a formula, whatever separates the cells, and a telephone number stays as it is."""

import csv
import io
import re

import pytest

from prepaid.api.http.csv_lines import csv_line

# What a spreadsheet may drop in front of a formula, and how a formula starts.
DROPPED = re.compile(
    r"[\s\"\u00ad\u034f\u061c\u115f\u1160\u180e\u200b-\u200f\u2060-\u2064\u2800\u3164\ufe0f\ufeff\U000e0000-\U000e0fff]+"
)
STARTS = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
FORMULAS = [
    "=1+1",
    "=cmd|' /C calc'!A0",
    '=HYPERLINK("http://evil.example","x")',
    "+1+1",
    "-1+1",
    "@SUM(1)",
    "\uff1d1+1",
    "\ufe66SUM(1)",
    "-5",
    "+5",
    "=",
]
INVISIBLE = [
    "",
    " ",
    "\t",
    "\u00a0",
    "\u200b",
    "\ufeff",
    "\u200b\u00a0\ufeff \u2060",
    "\u3164",
    "\ufe0f",
    "\u2800",
    "\u202e",
    "\U000e0041",
    '"',
    '""',
    '"\u200b"',
]
HARMLESS = ["José", "x=1", "a,=1", "a =1", "a;b", "1-1", "'=1", "\ufeffbanho", "e-mail@example.com", "", '"', ";", "a;"]
TELEPHONES = [
    "+55 11 99999-0000",
    "+5511999990000",
    "+55 (11) 99999-0000",
    "+1.800.555.0199",
    "+55-11-99999-0000",
    "+1 2345678",
    "+123456789012345",
]
NO_TELEPHONES = [
    "+5",
    "+1-1",
    "+55 11 99999-0000=1",
    "+55 11 99999-0000|x",
    "+A1 99999-0000",
    "+1234567890123456",
    "+55\u00a011 99999-0000",
    "+５５ 11 99999-0000",
    "-55 11 99999-0000",
    "+55 11 99999-0000\n",
    "+55 11 99999-0000;+1",
]


def cells(line: str, separator: str) -> list[str]:
    """Return the cells that a program with this separator reads."""
    return [cell for row in csv.reader(io.StringIO(line, newline=""), delimiter=separator) for cell in row]


def cell_of(text: str) -> str:
    """The text's cell in a line with others, separated by comma."""
    return cells(csv_line([7, text, None, -5]), ",")[1]


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("separator", [",", ";", "\t"], ids=["comma", "semicolon", "tab"])
@pytest.mark.parametrize("delimiter", [",", ";"], ids=["of the API", "of the page"])
def test_no_cell_is_a_formula_whatever_separates_the_cells(delimiter: str, separator: str, formula: str) -> None:
    hidden = [f"{invisible}{formula}" for invisible in INVISIBLE]
    around = [
        f"{before}{text}{after}"
        for text in hidden
        for before in ("", "a;", "a,", "a\t", "a\n", ";", ",")
        for after in ("", ";ok")
    ]

    for text in around:
        for cell in cells(csv_line([7, text, text, None, -5, text], delimiter), separator):
            assert cell == "-5" or not DROPPED.sub("", cell).startswith(STARTS), ascii(text)


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1", "'=1"),
        ("banho;=cmd|' /C calc'!A0;ok", "banho;'=cmd|' /C calc'!A0;ok"),
        ("\u200b=1", "'\u200b=1"),
        ("a; \u00a0=1", "a;' \u00a0=1"),
        ("a\t=1", "a\t'=1"),
        ("\ta", "'\ta"),
        ("\ra", "'\ra"),
    ],
)
def test_a_formula_gets_an_apostrophe_where_it_starts(text: str, cell: str) -> None:
    assert cell_of(text) == cell


@pytest.mark.parametrize(
    "text",
    ["José", "x=1", "a,=1", "a =1", "a;b", "1-1", "'=1", "\ufeffbanho", "e-mail@example.com", "", '"', ";", "a;"],
)
def test_a_text_that_is_no_formula_stays_as_it_is(text: str) -> None:
    assert cell_of(text) == text


@pytest.mark.parametrize("number", TELEPHONES)
def test_a_telephone_number_stays_as_it_is(number: str) -> None:
    assert cell_of(number) == number


@pytest.mark.parametrize("text", NO_TELEPHONES, ids=ascii)
def test_what_only_resembles_a_telephone_number_is_guarded(text: str) -> None:
    assert cell_of(text).startswith("'")


def test_a_line_has_all_cells_and_numbers_as_numbers() -> None:
    assert csv_line([7, "a,b", None, -5, 'x"y']) == '7,"a,b",,-5,"x""y"\r\n'
