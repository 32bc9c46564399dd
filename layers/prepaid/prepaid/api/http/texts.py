"""The rule for every text that a client sends: one line, with a visible character, that reads the same everywhere."""

import re

# As in a class of a regular expression: white space, controls, Unicode's Default_Ignorable_Code_Point, and the blank
# Braille pattern. https://www.unicode.org/reports/tr44/#Default_Ignorable_Code_Point
INVISIBLE = (
    r"\s\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    r"\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
VISIBLE = re.compile(rf"[^{INVISIBLE}]")
# The pattern of a text in openapi.json. The rest of the rule can't be a pattern that every JSON Schema reader supports.
PATTERN = r"^[^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufffd]+$"
REFUSED = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufffd\ud800-\udfff]")
NAMES = (
    (frozenset("\n\v\f\r\x85\u2028\u2029"), "a line break"),
    (frozenset("\t"), "a tab"),
    (frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"), "a change of the text's direction"),
    (frozenset("\ufffd"), "the substitute for bytes that are not UTF-8; send the body in UTF-8"),
)


def check_text(text: str) -> str:
    """The same text. Raises ValueError with a sentence for the caller.

    Rejects control characters and line breaks, which break lines of files and logs; changes of direction, which make a
    text look like another one; U+FFFD, which replaces bytes that were not UTF-8; and halves of surrogate pairs.
    """
    refused = REFUSED.search(text)
    if refused:
        raise ValueError(
            f"must be one line of visible text: character {refused.start() + 1} is U+{ord(refused[0]):04X}, "
            f"{_name(refused[0])}"
        )
    if not VISIBLE.search(text):
        raise ValueError("must contain a visible character")
    return text


def _name(character: str) -> str:
    for characters, name in NAMES:
        if character in characters:
            return name
    return "half of a surrogate pair" if character >= "\ud800" else "a control character"
