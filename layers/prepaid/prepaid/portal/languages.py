"""The page's texts in a language, and the language that a browser asks for."""

from collections.abc import Mapping

from prepaid.core.languages import DEFAULT, LANGUAGES, language_file

type Texts = Mapping[str, str]


def texts_of(language: str) -> Texts:
    """The texts of a language, by name."""
    return language_file(language).texts


def accepted_language(header: str) -> str:
    """The first language of an Accept-Language header that the page has; else the default. Preferences by q are
    ignored, because browsers list languages in order."""
    for element in header.split(","):
        tag = element.partition(";")[0].strip().lower()
        for language in LANGUAGES:
            if tag and language.lower().split("-")[0] == tag.split("-")[0]:
                return language
    return DEFAULT
