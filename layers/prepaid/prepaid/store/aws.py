"""AWS's clients: all of them are opened here. Region and endpoint come from AWS's environment variables."""

from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_secretsmanager import SecretsManagerClient

# A call takes at most seven seconds: twice a second to connect and two to read, and a second between the two.
CONFIG = Config(connect_timeout=1, read_timeout=2, retries={"mode": "standard", "total_max_attempts": 2})


def open_dynamodb() -> "DynamoDBClient":
    """A client that sends each call at most twice.

    A resent transaction has the same token, so a lost reply is recovered. dynamodb.py makes all further retries,
    because it knows the deadline and the failures that botocore doesn't retry.
    """
    return boto3.client("dynamodb", config=CONFIG)


def open_secrets_manager() -> "SecretsManagerClient":
    """A client that sends each call at most twice: secrets.py makes all further retries."""
    return boto3.client("secretsmanager", config=CONFIG)
