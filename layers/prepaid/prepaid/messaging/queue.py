"""The webhook's queue: first in, first out for each account."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


def send(client: "SQSClient", queue_url: str, account_id: str, event_id: str, text: str) -> None:
    """Queue one event after the account's earlier ones. SQS drops a repeat of its id within five minutes.

    Raises botocore's errors.
    """
    client.send_message(
        QueueUrl=queue_url, MessageBody=text, MessageGroupId=account_id, MessageDeduplicationId=event_id
    )


def hide(client: "SQSClient", queue_url: str, receipt: str, seconds: int) -> None:
    """Make a received message, and with it its account's later ones, wait so long. Raises botocore's errors."""
    client.change_message_visibility(QueueUrl=queue_url, ReceiptHandle=receipt, VisibilityTimeout=seconds)
