"""Secrets from AWS Secrets Manager, cached briefly so that a rotation takes effect without a deployment."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prepaid.aws import open_secrets_manager
from prepaid.core.errors import Busy
from prepaid.store.dynamodb import Deadline, Transient, attempts, translate_errors

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

# The version of a secret that is plain text, and of everything that was stored before secrets had versions.
FIRST_VERSION = 1
# AWS raises ResourceNotFoundException both for a missing secret and for one without a value. Only the message of the
# second has these words.
NO_VALUE = "staging label"
# A caller can't make a function read its secret more often than this.
AGAIN_SECONDS = 10.0


class SecretNotSet(Exception):
    """The secret exists, and nobody has stored a value in it yet."""


class Secret:
    """One secret's text, read on first use and again after `seconds`.

    The client, too, is created on first use, because most requests need no secret.
    """

    def __init__(self, name: str, clock: Callable[[], float], seconds: float = 300.0) -> None:
        self._name, self._clock, self._seconds = name, clock, seconds
        self._client: SecretsManagerClient | None = None
        self._text: str | None = None
        self._read_at = 0.0

    def __call__(self, deadline: Deadline) -> str:
        """The text. If it can't be read again, the last text stays valid.

        Raises Busy if it couldn't be read by the deadline and never was, SecretNotSet if it has no value.
        """
        return self._text_of_age(self._seconds, deadline)

    def read_again(self, deadline: Deadline) -> str:
        """The text, at most AGAIN_SECONDS old, for a caller that misses something in it. Raises as a call does."""
        return self._text_of_age(AGAIN_SECONDS, deadline)

    def _text_of_age(self, seconds: float, deadline: Deadline) -> str:
        if self._text is not None and self._clock() - self._read_at < seconds:
            return self._text
        for _ in attempts(deadline):
            try:
                with translate_errors():
                    self._text = self._read()
            except Transient:
                if self._text is None:
                    continue
            # After a failure too: a request that has a text doesn't wait for another one.
            self._read_at = self._clock()
            break
        if self._text is None:
            raise Busy
        return self._text

    def _read(self) -> str:
        if self._client is None:
            self._client = open_secrets_manager()
        try:
            return self._client.get_secret_value(SecretId=self._name)["SecretString"]
        except self._client.exceptions.ResourceNotFoundException as error:
            # Only a secret that never had a value is a new stack's. A value or secret that disappeared is a fault.
            if self._text is None and NO_VALUE in error.response["Error"]["Message"]:
                raise SecretNotSet from error
            raise


def versions_of(text: str) -> dict[int, str]:
    """The values in a secret's text by version: {"1": "old", "2": "new"}, or plain text, which is version 1.

    A version with an empty value counts as removed. Raises ValueError for another form, and if no version is left.
    """
    if not text.startswith("{"):
        return {FIRST_VERSION: text}
    versions = {int(version): str(value) for version, value in json.loads(text).items() if value}
    if not versions or min(versions) < FIRST_VERSION:
        raise ValueError("the secret must hold at least one version, from 1 upwards")
    return versions


def no_others() -> Mapping[int, str]:
    """No further versions: for a secret that is not read again."""
    return {}


@dataclass(frozen=True, slots=True)
class Versions:
    """A secret that can be rotated: its values by version. The highest version is the current one.

    read_again: reads the secret anew. During a rotation, another instance may know a version that this one doesn't yet.
    """

    values: Mapping[int, str]
    read_again: Callable[[], Mapping[int, str]] = no_others

    @property
    def current(self) -> int:
        """The version under which new values are made."""
        return max(self.values)

    def value(self, version: int) -> str:
        """The value of a version. If it has been removed, the current value, with which no digest matches."""
        found_value = self.values.get(version) or self.read_again().get(version)
        return found_value or self.values[self.current]

    def accepted(self) -> Iterator[str]:
        """Every value that is still accepted, the current one first; reads the secret again after the known ones."""
        for version in sorted(self.values, reverse=True):
            yield self.values[version]
        for version, value in self.read_again().items():
            if version not in self.values:
                yield value
