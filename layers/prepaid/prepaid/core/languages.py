"""The languages of everything that people read: the page, payment pages, titles in the catalog."""

from typing import Literal, get_args

Language = Literal["pt-BR", "en", "es"]
LANGUAGES: tuple[str, ...] = get_args(Language)
