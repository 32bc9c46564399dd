"""AWS's clients: all of them are opened here. Region and endpoint come from AWS's environment variables."""

from typing import TYPE_CHECKING

import boto3
import botocore
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sqs import SQSClient

# botocore otherwise composes this text twice for each call, which takes a third of the call's processor time.
USER_AGENT = f"Boto3/{boto3.__version__} md/Botocore#{botocore.__version__} app/Prepaid"
TWO_ATTEMPTS = Config(connect_timeout=1, retries={"mode": "standard", "total_max_attempts": 2}, user_agent=USER_AGENT)
# A call takes at most seven seconds: two attempts, each with one second to connect and two to read, and a pause of one.
FOR_REQUESTS = TWO_ATTEMPTS.merge(Config(read_timeout=2))
# A call takes at most nine seconds, because each attempt has three to read. If both fail, the stream's batch or the
# queue's message is retried.
FOR_MESSAGES = TWO_ATTEMPTS.merge(Config(read_timeout=3))


def open_dynamodb() -> "DynamoDBClient":
    """A client that sends each call at most twice.

    A resent transaction has the same token, so a lost response is recovered. store/dynamodb.py makes all further
    retries, because it knows the deadline and the failures that botocore doesn't retry.
    """
    return boto3.client("dynamodb", config=FOR_REQUESTS)


def open_secrets_manager() -> "SecretsManagerClient":
    """A client that sends each call at most twice: store/secrets.py makes all further retries."""
    return boto3.client("secretsmanager", config=FOR_REQUESTS)


def open_event_bridge() -> "EventBridgeClient":
    """A client that sends each call at most twice."""
    return boto3.client("events", config=FOR_MESSAGES)


def open_sqs() -> "SQSClient":
    """A client that sends each call at most twice."""
    return boto3.client("sqs", config=FOR_MESSAGES)
