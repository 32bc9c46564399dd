"""What a new local stack is furnished with."""

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

from local.deploy import Deployed
from local.processes import LocalStackError

ACCOUNT = "petshop-1"
PROFILE = {"name": "Pet Shop One", "plan": "trio", "ai_enabled": True}
ANSWER_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Demo:
    """What there is to look at."""

    account: str
    page_url: str
    checkout_url: str | None


def call(method: str, url: str, token: str, body: dict[str, Any] | None = None) -> tuple[int, Any]:
    """One request to the service, as any client would make it."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers=headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:
            return answer.status, json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")


def prepare(deployed: Deployed, tokens: dict[str, str], stripe_url: str) -> Demo:
    """Create the demo account over HTTP."""
    status, answer = call("PUT", f"{deployed.api_url}/v1/accounts/{ACCOUNT}", tokens["admin"], PROFILE)
    if status not in {200, 201}:
        raise LocalStackError(f"creating the demo account was answered with {status}: {answer}")
    return Demo(account=ACCOUNT, page_url=stripe_url, checkout_url=None)
