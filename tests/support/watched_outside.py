"""The publisher's and the deliverer's dependencies, noting the settings that each use of them reads."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from prepaid.deps import Outbox, Webhook
from prepaid.messaging.webhook import Reply


def noted(use: Callable[..., Any], note: Callable[[str], None], setting: str) -> Callable[..., Any]:
    def noting(*arguments: Any) -> Any:
        note(setting)
        return use(*arguments)

    return noting


def watched_outbox(outbox: Outbox | None, note: Callable[[str], None]) -> Outbox | None:
    """note: called with the name of each setting that is used."""
    if outbox is None:
        return None
    assert outbox.to_webhook
    return Outbox(
        to_webhook=noted(outbox.to_webhook, note, "webhook_queue_url"),
        to_bus=noted(outbox.to_bus, note, "event_bus_name"),
    )


def watched_webhook(webhook: Webhook | None, note: Callable[[str], None], replies: list[Reply]) -> Webhook | None:
    """replies: the receiver's answers, instead of a request."""
    if webhook is None:
        return None

    def post(*_: Any) -> Reply:
        note("webhook_target")
        return replies.pop(0)

    return replace(
        webhook,
        post=post,
        secret=noted(webhook.secret, note, "webhook_secret_name"),
        hide=noted(webhook.hide, note, "webhook_queue_url"),
        give_up=noted(webhook.give_up, note, "webhook_dead_letters_url"),
    )
