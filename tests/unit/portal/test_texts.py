"""The page's texts: every language has the same ones, and each type of entry has its name."""

import re
from typing import get_args

import pytest

from prepaid.core.account import LotKind
from prepaid.core.entry import EntryType, Source
from prepaid.core.languages import LANGUAGES
from prepaid.portal.languages import DEFAULT, texts_of


def placeholders(text: str) -> set[str]:
    return set(re.findall(r"\{(\w+)\}", text))


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_has_the_same_texts(language: str) -> None:
    expected, found = texts_of(DEFAULT), texts_of(language)

    assert found.keys() == expected.keys()
    assert {name: placeholders(text) for name, text in found.items()} == {
        name: placeholders(text) for name, text in expected.items()
    }


@pytest.mark.parametrize(
    ("family", "members"),
    [("type", get_args(EntryType)), ("source", get_args(Source)), ("kind", get_args(LotKind))],
)
def test_each_value_that_the_page_names_has_a_text(family: str, members: tuple[str, ...]) -> None:
    assert {f"{family}.{member}" for member in members} <= texts_of(DEFAULT).keys()
