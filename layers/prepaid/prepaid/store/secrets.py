"""Secrets from AWS Secrets Manager, cached briefly so that a rotation takes effect without a deployment."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from prepaid.core.errors import Busy
from prepaid.store.aws import open_secrets_manager
from prepaid.store.dynamodb import Transient, translate_errors

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient


class SecretNotSet(Exception):
    """Nobody has stored a value in the secret yet."""


class Secret:
    """One secret's text, read on first use and again after `seconds`.

    The client, too, is created on first use, because most requests need no secret.
    """

    def __init__(self, name: str, clock: Callable[[], float], seconds: float = 300.0) -> None:
        self._name, self._clock, self._seconds = name, clock, seconds
        self._client: SecretsManagerClient | None = None
        self._text: str | None = None
        self._read_at = 0.0

    def __call__(self) -> str:
        """The text. If it can't be read again, the last text stays valid.

        Raises Busy if it was never read, SecretNotSet if it has no value.
        """
        if self._text is not None and self._clock() - self._read_at < self._seconds:
            return self._text
        try:
            with translate_errors():
                self._text = self._read()
        except Transient as error:
            if self._text is None:
                raise Busy from error
        self._read_at = self._clock()
        return self._text

    def _read(self) -> str:
        if self._client is None:
            self._client = open_secrets_manager()
        try:
            return self._client.get_secret_value(SecretId=self._name)["SecretString"]
        except self._client.exceptions.ResourceNotFoundException as error:
            # A value that was there and is gone is a fault, not the first day of a stack.
            if self._text is None:
                raise SecretNotSet from error
            raise
