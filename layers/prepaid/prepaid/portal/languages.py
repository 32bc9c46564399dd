"""The page's texts, one file per language. Another language is another file and its formats in formats.py."""

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from prepaid.core.languages import LANGUAGES

DEFAULT = "pt-BR"

type Texts = Mapping[str, str]


@cache
def texts_of(language: str) -> Texts:
    """The texts of a language, by name."""
    texts: Texts = json.loads(files("prepaid.portal").joinpath("texts", f"{language}.json").read_text("utf-8"))
    return texts


def accepted_language(header: str) -> str:
    """The first language of an Accept-Language header that the page has; else the default. Preferences by q are
    ignored, because browsers list languages in order."""
    for part in header.split(","):
        wanted = part.partition(";")[0].strip().lower()
        for language in LANGUAGES:
            if wanted and language.lower().split("-")[0] == wanted.split("-")[0]:
                return language
    return DEFAULT
