"""The page's texts: every language has the same ones."""

import re

import pytest

from prepaid.core.languages import DEFAULT, LANGUAGES
from prepaid.portal.languages import texts_of


def placeholders(text: str) -> set[str]:
    return set(re.findall(r"\{(\w+)\}", text))


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_has_the_same_texts(language: str) -> None:
    expected, found = texts_of(DEFAULT), texts_of(language)

    assert found.keys() == expected.keys()
    assert {name: placeholders(text) for name, text in found.items()} == {
        name: placeholders(text) for name, text in expected.items()
    }
