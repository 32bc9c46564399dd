"""Each word of the ledger has a text on the page, in each language."""

from typing import get_args

import pytest

from prepaid.core.account import LotKind
from prepaid.core.entry import EntryType, Source
from prepaid.core.languages import LANGUAGES
from prepaid.portal.languages import texts_of


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_word_of_the_ledger_has_a_text(language: str) -> None:
    words = {
        *(f"type.{name}" for name in get_args(EntryType)),
        *(f"source.{name}" for name in get_args(Source)),
        *(f"kind.{name}" for name in get_args(LotKind)),
    }

    assert words <= set(texts_of(language))
