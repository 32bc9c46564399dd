"""A complete local stack: the cloud, the deployed service, the payment provider, tokens and a demo account."""

import base64
import contextlib
import fcntl
import json
import os
import secrets
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from local import demo, demo_year
from local.build import built
from local.cloud import emulator, wait_for
from local.deploy import STRIPE_RIGHTS, Deployed, client, deploy
from local.processes import (
    HOST,
    STATE,
    LocalStackError,
    Program,
    free_port,
    own_environment,
    require_free,
    require_space,
    running,
)
from local.routes import import_routes
from local.tools import environment_of
from prepaid.core.calendar import floor_to_millisecond
from prepaid.store.dynamodb import Deadline, Table, within

CLIENTS = {"service": "ServiceClientId", "storefront": "StorefrontClientId", "admin": "AdminClientId"}
ANSWER_SECONDS = 30
# The time for the demo account's whole year.
DEMO_SECONDS = 300
# The first start installs the tools; every start may build, and unpacks what it built.
FIRST_START_MB = 600
LATER_START_MB = 150
# The delivery in events/ is signed with this secret, which takes the place of a previous secret during a rotation.
SAMPLE_WEBHOOK_SECRET = "whsec_sample_events"  # noqa: S105 - not a real secret


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a local stack. Port 0 picks a free one. overrides: of the template's parameters."""

    name: str = "stack"
    port: int = 4566
    stripe_port: int = 12111
    overrides: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Addresses:
    """Everything that a client of a local stack needs: the content of its JSON file.

    events_secret: signs events for a WebhookTarget.
    """

    api_url: str
    stripe_url: str
    page_url: str
    demo_account: str
    manager_code: str
    checkout_url: str
    tokens: dict[str, str]
    table_name: str
    aws_endpoint_url: str
    webhook_url: str
    webhook_secret: str
    stripe_api_key: str
    events_secret: str


@dataclass(frozen=True, slots=True)
class Stack:
    """A running stack."""

    addresses: Addresses
    deployed: Deployed
    programs: tuple[Program, ...]
    file: Path


def no_progress(step: str) -> None:
    """Ignore the progress."""


@contextlib.contextmanager
def local_stack(options: Options, report_step: Callable[[str], None] = no_progress) -> Iterator[Stack]:
    """A complete stack for the duration of a with block. report_step: called with each step. Leaves nothing behind."""
    port, stripe_port = options.port or free_port(), options.stripe_port or free_port()
    logs = STATE / "log" / options.name
    file = STATE / f"{options.name}.json"
    with contextlib.ExitStack() as contexts:
        contexts.enter_context(_only_one(options.name))
        _require_room(port, stripe_port)
        # A killed stack couldn't delete its file.
        file.unlink(missing_ok=True)
        for log in logs.glob("*.log"):
            log.unlink()
        for tool in ("ministack", "sam", "runtime"):
            report_step(f"tools: {tool}")
            environment_of(tool)
        report_step("building the functions and their layer")
        template = built(logs / "build.log")
        report_step("starting the local cloud")
        cloud = contexts.enter_context(emulator(options.name, port, enforce_iam=True))
        report_step("deploying the template")
        stripe_url = f"http://{HOST}:{stripe_port}"
        deployed = deploy(cloud, template, stripe_url, logs / "deploy.log", options.overrides)
        import_routes(deployed)
        deployed.set_portal_url()
        report_step("starting the payment provider")
        api_key = f"sk_test_{secrets.token_hex(12)}"
        webhook_url, webhook_secret = f"{deployed.api_url}/v1/webhooks/stripe", f"whsec_{secrets.token_hex(16)}"
        restricted = {function: f"rk_test_{secrets.token_hex(12)}" for function in STRIPE_RIGHTS}
        deployed.write_stripe_secrets(restricted, [webhook_secret, SAMPLE_WEBHOOK_SECRET])
        events_secret = f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"
        deployed.write_webhook_secret(events_secret)
        command = [sys.executable, "-m", "fake_stripe", "--port", str(stripe_port), "--api-key", api_key]
        for function, rights in STRIPE_RIGHTS.items():
            permissions = ",".join(f"{resource}:{level}" for resource, level in rights.items())
            command += ["--api-key", f"{restricted[function]}={permissions}"]
        command += ["--webhook-url", webhook_url, "--webhook-secret", webhook_secret]
        stripe = contexts.enter_context(_payment_provider(command, stripe_url, logs / "stripe.log"))
        report_step("tokens, and the demo account's past year")
        tokens = {name: token(deployed, deployed.outputs[output]) for name, output in CLIENTS.items()}
        demo_year.live(_demo_shop(deployed, stripe_url, api_key), floor_to_millisecond(datetime.now(UTC)))
        shop = demo.buy(demo.Api(deployed.api_url, tokens))
        addresses = Addresses(
            api_url=deployed.api_url,
            stripe_url=stripe_url,
            page_url=deployed.portal_url,
            demo_account=demo.ACCOUNT,
            manager_code=demo.CODE,
            checkout_url=shop.checkout_url,
            tokens=tokens,
            table_name=deployed.outputs["TableName"],
            aws_endpoint_url=cloud.url,
            webhook_url=webhook_url,
            webhook_secret=webhook_secret,
            stripe_api_key=api_key,
            events_secret=events_secret,
        )
        contexts.callback(file.unlink, missing_ok=True)
        _write_whole(file, json.dumps(asdict(addresses), indent=2) + "\n")
        yield Stack(addresses, deployed, (cloud.program, stripe), file)


@contextlib.contextmanager
def _only_one(name: str) -> Iterator[None]:
    STATE.mkdir(exist_ok=True)
    with (STATE / f"{name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LocalStackError(f"a stack named {name} is running; name this one with STACK=another") from error
        yield


def _require_room(port: int, stripe_port: int) -> None:
    require_space(STATE, LATER_START_MB if (STATE / "tools").exists() else FIRST_START_MB)
    require_free(port, "PORT")
    require_free(stripe_port, "STRIPE_PORT")


@contextlib.contextmanager
def _payment_provider(command: list[str], url: str, log: Path) -> Iterator[Program]:
    with running("the payment provider", command, own_environment(), log) as program:
        wait_for(f"{url}/healthz", program)
        yield program


def _demo_shop(deployed: Deployed, stripe_url: str, stripe_api_key: str) -> demo_year.Shop:
    table = Table(
        client=client(deployed.cloud, "dynamodb"), name=deployed.outputs["TableName"], deadline=Deadline(at=0.0)
    )
    return demo_year.Shop(
        table=within(table, DEMO_SECONDS),
        account=demo.ACCOUNT,
        name=demo.NAME,
        code=demo.CODE,
        pepper=deployed.secret("PepperSecretArn"),
        actors={name: deployed.outputs[output] for name, output in CLIENTS.items()},
        stripe_url=stripe_url,
        stripe_api_key=stripe_api_key,
        stack=deployed.stripe_stack,
        return_url=f"{stripe_url}/",
    )


def token(deployed: Deployed, client_id: str) -> str:
    """An access token from the stack's own Cognito, requested as a real client does."""
    password = f"{client_id}:{deployed.client_secret(client_id)}"
    headers = {
        "Authorization": "Basic " + base64.b64encode(password.encode()).decode(),
        "Content-Type": "application/x-www-form-urlencoded",
    }
    body = urllib.parse.urlencode({"grant_type": "client_credentials"}).encode()
    request = urllib.request.Request(f"{deployed.cloud.url}/oauth2/token", data=body, headers=headers)
    with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as stream:
        response: dict[str, Any] = json.load(stream)
    return str(response["access_token"])


def _write_whole(file: Path, text: str) -> None:
    """Write the file atomically, readable by its owner only, because it contains tokens."""
    draft = file.with_suffix(f".{os.getpid()}.tmp")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as output:  # noqa: PTH123
        output.write(text)
    draft.replace(file)
