"""The values of the publisher's and the webhook's own resources in template.yaml, and why."""

from tests.support.expected_alarms import SERVICE, alarm
from tests.support.expected_template import QUEUE
from tests.support.template_values import DAY, HOUR, MINUTE, Properties, attribute, either, ref

# Rows whose changes mean events. Anything else would only start the function; a deletion is DynamoDB's TTL.
CHANGES = {
    "eventName": ["INSERT", "MODIFY"],
    "dynamodb": {"Keys": {"SK": {"S": [{"prefix": "ENTRY#"}, {"prefix": "PURCHASE#"}, "MANAGER"]}}},
}

# Of the stream. TRIM_HORIZON: nothing that happened while the stack was created is left out. One batch at a time keeps
# the order of an account's events; a change that fails is tried as long as the stream keeps it.
STREAM: Properties = {
    "BatchSize": 100,
    "BisectBatchOnFunctionError": True,
    "DestinationConfig": {"OnFailure": {"Destination": attribute("DeadLetters")}},
    "EventSourceArn": either("HasExistingTable", ref("ExistingTableStream"), attribute("Table", "StreamArn")),
    "FunctionName": ref("PublishFunctionAliaslive"),
    "MaximumRecordAgeInSeconds": DAY,
    "ParallelizationFactor": 1,
    "StartingPosition": "TRIM_HORIZON",
}
# Of the queue. One message an invocation: an account's later messages are received only after the first is delivered.
MESSAGES: Properties = {
    "BatchSize": 1,
    "EventSourceArn": attribute("WebhookQueue"),
    "FunctionName": ref("DeliverFunctionAliaslive"),
    "FunctionResponseTypes": ["ReportBatchItemFailures"],
}

BUS = {"Name": ref("AWS::StackName")}

FIFO_QUEUES: Properties = {
    "WebhookQueue": QUEUE
    | {
        "FifoQueue": True,
        "DeduplicationScope": "messageGroup",
        "FifoThroughputLimit": "perMessageGroupId",
        # More than six times the function's time-out, as AWS recommends.
        "VisibilityTimeout": 300,
        # SQS's largest. With the time-out, it spans more than the three days after which the function itself gives up.
        "RedrivePolicy": {"deadLetterTargetArn": attribute("WebhookDeadLetters"), "maxReceiveCount": 1000},
    },
    "WebhookDeadLetters": QUEUE | {"FifoQueue": True},
}

# Nothing is sent before its signing secret is written.
SECRETS: Properties = {"WebhookSecret": {}}
# Its receivers know it: without a new value it would have to be written again on both sides.
RETAINED = {"WebhookSecret"}

SENDERS = {"DeliverRole"}

ALARMS = {
    # Milliseconds. A batch that fails a few times is late by seconds.
    "EventsLate": alarm(
        "AWS/Lambda",
        "IteratorAge",
        {"FunctionName": ref("PublishFunction")},
        statistic="Maximum",
        threshold=5 * MINUTE * 1000,
    ),
    # Each scheduled run reports it, also when it is 0. The stream's runs don't, so they can't hide a dead schedule.
    "PublishSilent": alarm(
        "Prepaid",
        "EventsFoundLate",
        SERVICE,
        statistic="SampleCount",
        period=HOUR,
        periods=3,
        comparison="LessThanThreshold",
        missing="breaching",
    ),
    # A stream that works names every entry within seconds.
    "EventsUnreported": alarm("Prepaid", "EventsFoundLate", SERVICE, period=HOUR),
    # A receiver's deployment takes minutes.
    "EndpointDeliveriesLate": alarm(
        "AWS/SQS",
        "ApproximateAgeOfOldestMessage",
        {"QueueName": attribute("WebhookQueue", "QueueName")},
        statistic="Maximum",
        threshold=HOUR,
    ),
    "EndpointDeliveriesGivenUp": alarm(
        "AWS/SQS",
        "ApproximateNumberOfMessagesVisible",
        {"QueueName": attribute("WebhookDeadLetters", "QueueName")},
        statistic="Maximum",
    ),
}

PARAMETERS: dict[str, Properties] = {
    "ExistingTableStream": {
        "Type": "String",
        "Default": "",
        "AllowedPattern": "(arn:[a-z-]+:dynamodb:[a-z0-9-]+:[0-9]{12}:table/[A-Za-z0-9_.-]+/stream/[0-9TZ:.-]+)?",
    },
    "PublishSchedule": {"Type": "String", "Default": "rate(1 hour)"},
    # Empty: no webhook, no queue. The local cloud's receivers have no certificate.
    "WebhookTarget": {
        "Type": "String",
        "Default": "",
        "MaxLength": 500,
        "AllowedPattern": r"(https://[^/?#@ ]+(/[^#@ ]*)?|http://127\.0\.0\.1:[0-9]+/[^#@ ]*)?",
    },
}
CONDITIONS = {"HasWebhook": {"Fn::Not": [{"Fn::Equals": [ref("WebhookTarget"), ""]}]}}
VARIABLES: Properties = {
    "EVENT_BUS_NAME": ref("EventBus"),
    "WEBHOOK_QUEUE_URL": either("HasWebhook", ref("WebhookQueue"), ref("AWS::NoValue")),
    "WEBHOOK_DEAD_LETTERS_URL": ref("WebhookDeadLetters"),
    "WEBHOOK_TARGET": ref("WebhookTarget"),
}
KINDS = {"AWS::CloudWatch::Dashboard", "AWS::Events::EventBus", "AWS::Lambda::EventSourceMapping"}
CONDITIONAL = dict.fromkeys(
    [
        "DeliverErrors",
        "DeliverFunction",
        "DeliverFunctionAliaslive",
        "DeliverFunctionMessages",
        "DeliverLog",
        "DeliverRole",
        "WebhookDeadLetters",
        "WebhookQueue",
        "WebhookSecret",
        "EndpointDeliveriesGivenUp",
        "EndpointDeliveriesLate",
    ],
    "HasWebhook",
)
