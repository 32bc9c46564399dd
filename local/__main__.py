"""`make run`: runs a complete stack in the foreground until Ctrl-C."""

import argparse
import contextlib
import os
import re
import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import NoReturn
from uuid import uuid4

from botocore.exceptions import BotoCoreError, ClientError

from local import demo
from local.processes import LocalStackError, shown
from local.stack import Addresses, Options, Stack, local_stack

LOOK_SECONDS = 0.5
LAST_PORT = 65_535


def arguments() -> argparse.Namespace:
    """The command line's arguments, validated."""
    parser = argparse.ArgumentParser(prog="make run", description=__doc__)
    parser.add_argument("--port", type=int, default=4566, help="the cloud's port (PORT=)")
    parser.add_argument("--stripe-port", type=int, default=12111, help="the payment provider's port (STRIPE_PORT=)")
    parser.add_argument("--stack", default="stack", help="name of this stack and of its file in .local (STACK=)")
    parser.add_argument("--while-alive", type=int, help="stop when the process with this id exits")
    options = parser.parse_args()
    for setting, port in (("PORT", options.port), ("STRIPE_PORT", options.stripe_port)):
        if not 0 <= port <= LAST_PORT:
            parser.error(f"{setting}={port} is not a port")
    if options.port and options.port == options.stripe_port:
        parser.error(f"PORT and STRIPE_PORT are both {options.port}; choose another for one of them")
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,32}", options.stack):
        parser.error("STACK is 1 to 32 letters, digits, '-' or '_'")
    return options


def tour(addresses: Addresses) -> str:
    """Shell commands for a tour of the service."""
    base = '"$API/v1/accounts/' + addresses.demo_account
    service, shop = '-H "Authorization: Bearer $SERVICE"', '-H "Authorization: Bearer $STOREFRONT"'
    session = f"""{base}/manager-sessions" {shop} {post_args()}'{{"code": "{addresses.manager_code}"}}'"""
    purchase = f"""{base}/purchases" {shop} -H "Manager-Session: $SESSION" {post_args()}'{{"pack": "credits-100"}}'"""
    pay = f'"{addresses.stripe_url}/_control/sessions/${{PAGE##*/}}/pay"'
    return "\n".join(
        (
            f"export API={addresses.api_url}",
            f"export SERVICE={addresses.tokens['service']}",
            f"export STOREFRONT={addresses.tokens['storefront']}",
            f'curl -sS "$API/v1/packs" {shop}; echo',
            f"SESSION=$(curl -sS {session} | {member('manager_session')})",
            f'PAGE=$(curl -sS {purchase} | {member("checkout_url")}); echo "$PAGE"',
            f"curl -sS -X POST -o /dev/null -w 'paid: %{{http_code}}\\n' {pay}; sleep 5",
            f'curl -sS {base}/balance" {service}; echo',
            f"""curl -sS {base}/consumptions" {service} {post_args()}'{{"feature": "sticker"}}'; echo""",
            f'curl -sS {base}/history" {service}; echo',
        )
    )


def post_args() -> str:
    """curl's options for a POST with a body. Its key is fixed, so pasting the line again returns the first response."""
    return f"""-H "Idempotency-Key: tour-{uuid4()}" -H 'Content-Type: application/json' -d """


def member(name: str) -> str:
    """A shell filter that extracts one string member of a JSON object, for shells without jq."""
    return rf"""sed -E 's/.*"{name}":"([^"]*)".*/\1/'"""


def announce(stack: Stack, seconds: float) -> None:
    """Print the page's link and code, the addresses and the tour."""
    addresses = stack.addresses
    link = demo.page_link(demo.Api(addresses.api_url, addresses.tokens))
    page_command = "make page" if stack.file.stem == Options().name else f"make page STACK={stack.file.stem}"
    print(f"\nReady after {seconds:.0f} s. Ctrl-C stops everything.\n")
    print("Open the subscription page, enter the code, buy with Pix and see the credits arrive:\n")
    print(f"  page      {link}")
    print(f"  code      {addresses.manager_code}")
    print(f"  again     {page_command} (a link works once, within 10 minutes)\n")
    print(f"  service   {addresses.api_url}")
    print(f"  payments  {addresses.stripe_url}")
    print(f"  to pay    {addresses.checkout_url}")
    print(f"  AWS       {addresses.aws_endpoint_url} (table {addresses.table_name})")
    print(f"  tokens    {shown(stack.file)}\n")
    print("The command line, in another shell:\n")
    print(f"  .venv/bin/prepaid login --file {shown(stack.file)}")
    print(f"  .venv/bin/prepaid balance {addresses.demo_account}")
    print("  .venv/bin/prepaid --help\n")
    print("Events as they happen; and as a webhook, for the receiver in a third shell:\n")
    print(f"  .venv/bin/prepaid events tail --account {addresses.demo_account}")
    print(f"  .venv/bin/prepaid events listen --account {addresses.demo_account} --forward-to http://127.0.0.1:8000")
    print("  .venv/bin/python clients/python/examples/receiver.py\n")
    print(f"A tour, to paste into another shell:\n\n{tour(addresses)}\n", flush=True)


def alive(process: int) -> bool:
    """Whether a process exists."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not is_zombie(process)


def is_zombie(process: int) -> bool:
    """Whether the process has exited but its parent hasn't collected it. False on systems without /proc."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False
    # The state follows the name, which is in parentheses and may contain any character.
    return stat.rpartition(")")[2].split()[0] == "Z"


def follow(process: int) -> None:
    """Stop when `process` exits without a signal to this process, for example after a kill -9 of make."""

    def watch() -> None:
        while alive(process):
            time.sleep(LOOK_SECONDS)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def stop_once(_number: int, _frame: FrameType | None) -> NoReturn:
    """Stop at the first signal and ignore later ones, so that they don't interrupt the clean-up."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    report("\nstopping: ending all programs and deleting their temporary files. This takes a few seconds.")
    raise KeyboardInterrupt


def report(text: str) -> None:
    """Print, unless the terminal was closed."""
    with contextlib.suppress(OSError):
        print(text, flush=True)


def main() -> int:
    """Run until a signal stops the stack. Returns the exit code."""
    options = arguments()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop_once)
    if options.while_alive is not None:
        follow(options.while_alive)
    began = time.monotonic()

    def report_step(step: str) -> None:
        print(f"{time.monotonic() - began:5.1f} s  {step}", flush=True)

    try:
        with local_stack(Options(options.stack, options.port, options.stripe_port), report_step) as stack:
            announce(stack, time.monotonic() - began)
            while True:
                for program in stack.programs:
                    program.require_running()
                time.sleep(LOOK_SECONDS)
    except LocalStackError as error:
        print(f"make run: {error}", file=sys.stderr)
        return 1
    except (BotoCoreError, ClientError, OSError) as error:
        # A program of the stack stopped responding, or its response was invalid: its log shows the cause.
        print(
            f"make run: the local cloud failed ({type(error).__name__}), see .local/log/{options.stack}",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        report(f"stopped; the logs are in .local/log/{options.stack}")
        return 0


if __name__ == "__main__":
    sys.exit(main())
