"""Events on their way out: the event bus, the webhook's queue and the webhook itself."""
