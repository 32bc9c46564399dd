"""Access tokens by client credentials (RFC 6749, section 4.4), cached until shortly before they expire."""

from dataclasses import dataclass, field

import msgspec

# A token is renewed this long before it expires, or after half its life if that is later.
EARLY_SECONDS = 60.0


@dataclass(frozen=True)
class ClientCredentials:
    """A client of the stack. token_url: the stack's output `TokenUrl`."""

    token_url: str
    client_id: str
    client_secret: str = field(repr=False)


class TokenResponse(msgspec.Struct, frozen=True):
    """The token endpoint's answer."""

    access_token: str
    expires_in: float


@dataclass
class CachedToken:
    """The newest token and the time to renew it. Both are replaced together, so that threads can share the cache."""

    _kept: tuple[str, float] = field(default=("", float("-inf")), repr=False)

    def get(self, now: float, refused: str | None) -> str | None:
        """The token, unless it is about to expire or is the one that was refused."""
        token, renew_at = self._kept
        return token if now < renew_at and token != refused else None

    def keep(self, granted: TokenResponse, now: float) -> str:
        """Keep a new token, requested at `now`. Returns it."""
        life = max(granted.expires_in - EARLY_SECONDS, granted.expires_in / 2)
        self._kept = (granted.access_token, now + life)
        return granted.access_token
