"""The command line's login: the service's address and its clients' credentials, in a file that only the user can read.

The environment takes precedence: with PREPAID_URL, all commands use one client, as from Prepaid.from_env.
"""

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from prepaid_client import ClientCredentials, Prepaid

# The clients of a stack that have a scope, in order of preference.
HOLDERS: Mapping[str, tuple[str, ...]] = {
    "read": ("admin", "service", "storefront"),
    "buy": ("storefront",),
    "admin": ("admin",),
}
OWNER_ONLY = 0o600


class ProfileError(Exception):
    """There is no usable login, or AWS refuses. The text says what to do."""


@dataclass(frozen=True)
class Login:
    """A client's credentials: a token, or the credentials to request one."""

    token: str | None = field(default=None, repr=False)
    token_url: str | None = None
    client_id: str | None = None
    client_secret: str | None = field(default=None, repr=False)

    def credentials(self) -> str | ClientCredentials:
        """The credentials for `Prepaid`. Raises ProfileError if they are incomplete."""
        if self.token:
            return self.token
        if not (self.token_url and self.client_id and self.client_secret):
            raise ProfileError("the login is incomplete: run 'prepaid login' again")
        return ClientCredentials(self.token_url, self.client_id, self.client_secret)


@dataclass(frozen=True)
class Profile:
    """The content of the file. clients: by name (service, storefront, admin). aws_endpoint_url: of a local stack."""

    url: str
    clients: dict[str, Login] = field(default_factory=dict)
    aws_endpoint_url: str | None = None


def path_of(environment: Mapping[str, str]) -> Path:
    """The path of the file: PREPAID_PROFILE, or in the user's configuration folder."""
    if path := environment.get("PREPAID_PROFILE"):
        return Path(path)
    home = environment.get("XDG_CONFIG_HOME") or Path("~/.config").expanduser()
    return Path(home) / "prepaid" / "profile.json"


def read_profile(environment: Mapping[str, str] = os.environ) -> Profile | None:
    """The stored profile; None without one. Raises ProfileError if others can read the file, or it is no profile."""
    path = path_of(environment)
    content = read_private(path)
    if content is None:
        return None
    try:
        return msgspec.json.decode(content, type=Profile)
    except msgspec.MsgspecError as error:
        raise ProfileError(f"{path} is no profile: delete it, and run 'prepaid login'") from error


def write_profile(profile: Profile, environment: Mapping[str, str] = os.environ) -> Path:
    """Replace the stored profile as a whole. Returns its path."""
    path = path_of(environment)
    write_private(path, profile)
    return path


def read_private(path: Path) -> bytes | None:
    """A file that only the user can read; None without one. Raises ProfileError if others can read it too."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    if mode & ~OWNER_ONLY and os.name == "posix":
        raise ProfileError(f"{path} holds secrets and others may use it: run 'chmod 600 {path}'")
    return content


def write_private(path: Path, value: object) -> None:
    """Replace a file that only the user can read, as a whole, with a value as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY), "wb") as output:
        output.write(msgspec.json.format(msgspec.json.encode(value)))
    draft.replace(path)


def open_client(scope: str, environment: Mapping[str, str] = os.environ) -> Prepaid:
    """A client of the service that has this scope: read, buy or admin. Raises ProfileError."""
    if "PREPAID_URL" in environment:
        try:
            return Prepaid.from_env(environment)
        except (KeyError, ValueError) as error:
            raise ProfileError(f"the environment is incomplete: {error}") from error
    profile = read_profile(environment)
    if profile is None:
        raise ProfileError("nobody is logged in: run 'prepaid login', or set PREPAID_URL and PREPAID_TOKEN")
    for name in HOLDERS[scope]:
        if login := profile.clients.get(name):
            return Prepaid(profile.url, login.credentials())
    client_name = HOLDERS[scope][0]
    raise ProfileError(f"this needs a client with the scope prepaid/{scope}: run 'prepaid login --as {client_name}'")
