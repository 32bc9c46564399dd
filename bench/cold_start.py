"""Cold starts: `python -m bench.cold_start [--runs 9]`, after `PLATFORM=host make build`: a layer for this machine.

Each function in a fresh interpreter, with the built layer's bytecode, import and first call included, against
`import boto3; boto3.client("dynamodb")` and its first call, from the project's environment. CPU time of the child only,
without the interpreter's end, which Lambda never waits for; median of alternating runs. The ratio is what counts.
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

from local.cloud import emulator

LAYER = Path(".aws-sam/build/PrepaidLayer/python")
PEER = """
import boto3
key = {"PK": {"S": "a"}, "SK": {"S": "b"}}
boto3.client("dynamodb").get_item(TableName="cold", Key=key, ConsistentRead=True)
"""
END = """
import os
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
    "get_remaining_time_in_millis": lambda self: 60000,
}}
answer = app.handler(event, type("Context", (), context)())
assert answer.get("statusCode", 200) < 500, answer
"""
FUNCTIONS = ("consume", "balance_query", "purchase_webhook", "accounts", "expiry_sweep")


def cpu_seconds(code: str, env: dict[str, str]) -> float:
    """CPU time of one fresh interpreter."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code + END], check=True, env=env, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Print a row a function."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=9)
    runs = parser.parse_args().runs
    assert LAYER.is_dir(), "build first: make build"
    with emulator("bench-cold") as cloud:
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
        secret = json.dumps({"api_key": "rk_test", "webhook_secrets": ["whsec_test"]})
        boto3.client("secretsmanager").create_secret(Name="stripe", SecretString=secret)
        env = {
            **cloud.environment(),
            "PATH": os.defpath,
            "TABLE_NAME": "cold",
            "STRIPE_SECRET_NAME": "stripe",
            "STRIPE_API_BASE": "http://127.0.0.1:1",
            "STRIPE_STACK": "bench",
            "CURSOR_SECRET_NAME": "cursor",
            "POWERTOOLS_SERVICE_NAME": "bench",
            "POWERTOOLS_METRICS_NAMESPACE": "bench",
            # As in template.yaml.
            "PYDANTIC_DISABLE_PLUGINS": "__all__",
            "PYTHONTZPATH": "/opt/python/tzdata/zoneinfo",
        }
        cases = {"boto3 and one call": PEER, "nothing": "pass"}
        for name in FUNCTIONS:
            event = str(Path("events", f"{name}.json").resolve())
            cases[name] = CALL.format(layer=str(LAYER.resolve()), function=str(Path("functions", name)), event=event)
        taken: dict[str, list[float]] = {name: [] for name in cases}
        for _ in range(runs):
            for name, code in cases.items():
                taken[name].append(cpu_seconds(code, env))
    idle = statistics.median(taken.pop("nothing"))
    peer = statistics.median(taken["boto3 and one call"]) - idle
    for name, seconds in taken.items():
        own = statistics.median(seconds) - idle
        print(f"{name:<20} {own * 1000:7.0f} ms CPU  ratio {own / peer:.2f}")


if __name__ == "__main__":
    main()
