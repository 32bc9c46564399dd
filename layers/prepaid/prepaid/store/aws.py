"""AWS's clients: all of them are opened here. Region and endpoint come from AWS's environment variables."""

from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_secretsmanager import SecretsManagerClient


def open_dynamodb() -> "DynamoDBClient":
    """A client that sends each call at most twice.

    A resent transaction has the same token, so a lost reply is recovered. dynamodb.py makes all further retries,
    because it knows the deadline and the failures that botocore doesn't retry.
    """
    return boto3.client("dynamodb", config=_config(attempts=2))


def open_secrets_manager() -> "SecretsManagerClient":
    """A client that sends each call at most three times: nothing else retries it."""
    return boto3.client("secretsmanager", config=_config(attempts=3))


def _config(*, attempts: int) -> Config:
    """Time-outs shorter than a function's."""
    return Config(connect_timeout=1, read_timeout=2, retries={"mode": "standard", "total_max_attempts": attempts})
