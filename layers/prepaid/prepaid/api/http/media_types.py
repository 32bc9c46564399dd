"""Content negotiation: the media type that a request's Accept header prefers (RFC 9110, section 12.5.1)."""

import re
from collections.abc import Iterator, Sequence

NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
QUOTED = r'"(?:[^"\\]|\\.)*"'
# A comma inside a quoted string doesn't end an element.
ELEMENT = re.compile(rf'(?:[^,"]|{QUOTED}|")+')
MEDIA_RANGE = re.compile(rf"({NAME}/{NAME})((?:[ \t]*;(?:[ \t]*{NAME}=(?:{NAME}|{QUOTED}))?)*)")
PARAMETER = re.compile(rf"({NAME})=({NAME}|{QUOTED})")
QUALITY = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?", re.ASCII)


def preferred(accept: str, offered: Sequence[str]) -> str | None:
    """The offered type that the header prefers, or None if it accepts none of them.

    The highest quality wins. For equal qualities, a full name precedes a wildcard, then an earlier range a later one,
    then an earlier offer a later one. Parameters other than q and malformed ranges are ignored.
    """
    ranges = tuple(_ranges(accept))
    ranked = []
    for order, media_type in enumerate(offered):
        patterns = (media_type, media_type.partition("/")[0] + "/*", "*/*")
        matching = [
            (-patterns.index(pattern), -position, quality)
            for position, (pattern, quality) in enumerate(ranges)
            if pattern in patterns
        ]
        if matching:
            # The most specific range decides, even if it says that the type isn't acceptable.
            specificity, position, quality = max(matching)
            if quality > 0:
                ranked.append((quality, specificity, position, -order))
    return offered[-max(ranked)[-1]] if ranked else None


def _ranges(accept: str) -> Iterator[tuple[str, float]]:
    """Each well-formed range, in lower case, with its quality."""
    for element in ELEMENT.findall(accept):
        match = MEDIA_RANGE.fullmatch(element.strip(" \t"))
        if not match:
            continue
        parameters = {name.lower(): value for name, value in PARAMETER.findall(match[2])}
        quality = parameters.get("q", "1")
        if QUALITY.fullmatch(quality):
            yield match[1].lower(), float(quality)
