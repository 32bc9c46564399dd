"""`python -m fake_stripe`: start the fake, print its address, stop on Ctrl-C or SIGTERM."""

import argparse
import os
import signal
import sys
import threading
from types import FrameType

from fake_stripe import keys
from fake_stripe.server import RunningFake
from fake_stripe.webhooks import Settings, checked_url

DEFAULT_KEY = "sk_test_local"


def arguments(line: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m fake_stripe", description=__doc__)
    parser.add_argument("--port", type=int, default=12111, help="0 picks a free port (default: 12111)")
    parser.add_argument(
        "--public-url", default="", help="the fake's address in a browser (default: http://127.0.0.1:PORT)"
    )
    parser.add_argument("--webhook-url", default="", help="the endpoint that receives events (default: none)")
    parser.add_argument("--webhook-secret", default=os.environ.get("STRIPE_WEBHOOK_SECRET", "whsec_fake"))
    parser.add_argument(
        "--api-key",
        action="append",
        metavar="KEY[=RESOURCE:read|write,…]",
        help=f"an accepted key; repeat the option for more (default: {DEFAULT_KEY})",
    )
    parser.add_argument("--retry-seconds", default="", help="pauses between delivery attempts, such as 1,2,4,8")
    return parser.parse_args(line)


def main() -> int:
    options = arguments()
    settings = Settings(secret=options.webhook_secret)
    try:
        settings.url = checked_url(options.webhook_url)
        if options.retry_seconds:
            settings.retry_seconds = [max(0.0, float(wait)) for wait in options.retry_seconds.split(",")]
        api_keys = dict(keys.parse(text) for text in options.api_key or [DEFAULT_KEY])
        fake = RunningFake(port=options.port, settings=settings, api_keys=api_keys, public_url=options.public_url)
    except (ValueError, OverflowError) as error:
        print(f"Can't start the fake Stripe: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        print(f"Can't listen on port {options.port}: {reason}; choose another with --port", file=sys.stderr)
        return 1
    stop = threading.Event()

    def stopping(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stopping)
    print(f"Fake Stripe ready on {fake.url} (webhooks: {settings.url or 'none'})", flush=True)
    stop.wait()
    fake.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
