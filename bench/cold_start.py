"""Cold starts: `python -m bench.cold_start [--runs 9]` builds the layer for this machine, then measures.

Each function in a fresh interpreter, with the built layer's bytecode, import and first call included, against
`import boto3; boto3.client("dynamodb")` and its first call, from the project's environment. CPU time of the child only,
without the interpreter's end, which Lambda never waits for; median of alternating runs. The ratio is what counts.
Memory is the most that the child had resident at any time, the interpreter included; on Linux only.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
from pathlib import Path

import boto3

from fake_stripe.server import RunningFake
from local.build import built
from local.cloud import emulator
from local.processes import STATE

PEER = """
import boto3
key = {"PK": {"S": "a"}, "SK": {"S": "b"}}
boto3.client("dynamodb").get_item(TableName="cold", Key=key, ConsistentRead=True)
"""
# The high-water mark of this program alone: what getrusage reports includes the parent's, from before exec.
END = """
import os, sys
peak = "0"
if sys.platform == "linux":
    [line] = (line for line in open("/proc/self/status") if line.startswith("VmHWM:"))
    peak = line.split()[1]
os.write(1, f"\\n{peak}".encode())
os._exit(0)
"""
CALL = """
import json, sys
sys.path[:0] = [{layer!r}, {function!r}]
import app
event = json.load(open({event!r}))
context = {{
    "aws_request_id": "1",
    "function_name": "cold",
    "memory_limit_in_mb": 512,
    "invoked_function_arn": "arn:aws:lambda:us-east-1:123456789012:function:cold",
    "get_remaining_time_in_millis": lambda self: 900000,
}}
answer = app.handler(event, type("Context", (), context)())
assert answer.get("statusCode", 200) < 500, answer
"""
# All but `deliver`, whose first run needs a receiver.
FUNCTIONS = (
    "consume",
    "balance_query",
    "accounts",
    "checkout",
    "portal",
    "erasures",
    "purchase_webhook",
    "publish",
    "expiry_sweep",
    "reconcile",
    "verify",
)
STRIPE_KEY = "rk_test"
# The publisher runs as on its schedule, because its sample names an account that isn't there.
EVENT_OF = {"publish": "verify"}
SECRETS = {
    "stripe": json.dumps({"api_key": STRIPE_KEY, "webhook_secrets": ["whsec_test"]}),
    "cursor": "c" * 43,
    "pepper": "p" * 43,
}


def measured(code: str, env: dict[str, str]) -> tuple[float, float]:
    """CPU seconds and peak megabytes of one fresh interpreter."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    completed = subprocess.run([sys.executable, "-c", code + END], check=True, env=env, stdout=subprocess.PIPE)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, int(completed.stdout.splitlines()[-1]) / 1024


def main() -> None:
    """Print a row for each function."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=9)
    runs = parser.parse_args().runs
    layer = built(STATE / "log" / "bench-cold" / "build.log") / "PrepaidLayer" / "python"
    with emulator("bench-cold") as cloud, RunningFake(api_keys={STRIPE_KEY: None}) as stripe:
        os.environ.update(cloud.environment())
        boto3.client("dynamodb").create_table(
            TableName="cold",
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "PK", "KeyType": "HASH"}, {"AttributeName": "SK", "KeyType": "RANGE"}],
            AttributeDefinitions=[
                {"AttributeName": "PK", "AttributeType": "S"},
                {"AttributeName": "SK", "AttributeType": "S"},
            ],
        )
        for name, text in SECRETS.items():
            boto3.client("secretsmanager").create_secret(Name=name, SecretString=text)
        env = {
            **cloud.environment(),
            "PATH": os.defpath,
            "TABLE_NAME": "cold",
            "STRIPE_SECRET_NAME": "stripe",
            "STRIPE_API_BASE": stripe.url,
            "STRIPE_STACK": "bench",
            "CURSOR_SECRET_NAME": "cursor",
            "PEPPER_SECRET_NAME": "pepper",
            "EVENT_SOURCE": "prepaid/bench",
            "EVENT_BUS_NAME": "default",
            "RETURN_URL": "https://app.example.com/",
            "CHECKOUT_ORIGIN": "https://checkout.stripe.com",
            "PORTAL_URL": "https://api.example.com",
            "POWERTOOLS_SERVICE_NAME": "bench",
            "POWERTOOLS_METRICS_NAMESPACE": "bench",
            # As in template.yaml.
            "PYDANTIC_DISABLE_PLUGINS": "__all__",
            "PYTHONTZPATH": "/opt/python/tzdata/zoneinfo",
        }
        cases = {"boto3 and one call": PEER, "nothing": "pass"}
        for name in FUNCTIONS:
            event = str(Path("events", f"{EVENT_OF.get(name, name)}.json").resolve())
            cases[name] = CALL.format(layer=str(layer), function=str(Path("functions", name)), event=event)
        figures_by_case: dict[str, list[tuple[float, float]]] = {name: [] for name in cases}
        for _ in range(runs):
            for name, code in cases.items():
                figures_by_case[name].append(measured(code, env))
    medians = {
        name: [statistics.median(figure) for figure in zip(*figures, strict=True)]
        for name, figures in figures_by_case.items()
    }
    idle, _ = medians.pop("nothing")
    peer_cpu, peer_memory = medians["boto3 and one call"]
    for name, (cpu, memory) in medians.items():
        own, ratio = cpu - idle, (cpu - idle) / (peer_cpu - idle)
        print(
            f"{name:<20} {own * 1000:7.0f} ms CPU  ratio {ratio:.2f}  {memory:6.1f} MB  {memory - peer_memory:+6.1f} MB"
        )


if __name__ == "__main__":
    main()
