"""The clients of EventBridge and SQS. Region and endpoint come from AWS's environment variables."""

from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_sqs import SQSClient

# A call takes at most nine seconds: twice a second to connect and three to read, and a second between the two. What
# still fails comes again with the stream's batch or the queue's message.
CONFIG = Config(connect_timeout=1, read_timeout=3, retries={"mode": "standard", "total_max_attempts": 2})


def open_event_bridge() -> "EventBridgeClient":
    """A client that sends each call at most twice."""
    return boto3.client("events", config=CONFIG)


def open_sqs() -> "SQSClient":
    """A client that sends each call at most twice."""
    return boto3.client("sqs", config=CONFIG)
