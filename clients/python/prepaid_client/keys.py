"""Idempotency keys that are derived from the work that is charged."""

from hashlib import sha256
from urllib.parse import quote

# Leaves room for the prefixes of holds and releases: a key has at most 255 characters.
LONGEST = 200


def key_of(*parts: object) -> str:
    """The idempotency key of the work that `parts` name: `key_of("sticker", job.id)`. The same parts give the same key.

    Different parts give different keys, whatever characters they contain. Raises ValueError if there are none.
    """
    key = ":".join(quote(str(part), safe="") for part in parts)
    if not key:
        raise ValueError("a key needs at least one part")
    return key if len(key) <= LONGEST else f"{key[: LONGEST - 65]}:{sha256(key.encode()).hexdigest()}"
