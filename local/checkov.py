"""`make check`: runs checkov on template.yaml. Each finding that stays has a reason here, and each reason a finding."""

import json
import subprocess
import sys
from typing import Any

from local.processes import ROOT, LocalStackError, own_environment
from local.tools import python_of

CUSTOMER_KEY = (
    "Encrypted with AWS's own key. A customer's key costs money for each call, and everybody who may use the table may "
    "use the key too."
)
REASONS = {
    "CKV_AWS_26": "CloudWatch can't publish to a topic under the AWS managed key, and alarms carry no customer data.",
    "CKV_AWS_27": "SQS encrypts the queue with its own key.",
    "CKV_AWS_115": (
        "The routes without a token have a throttle of their own. Reserved concurrency can't be set in a new account, "
        "whose quota is below what Lambda keeps unreserved."
    ),
    "CKV_AWS_116": (
        "API Gateway waits for the answer of seven functions. The scheduled ones and the publisher have a destination, "
        "and what deliver can't send goes to the dead letters of its queue."
    ),
    "CKV_AWS_117": "The functions call AWS and Stripe only. A VPC would need a NAT gateway and protect nothing.",
    "CKV_AWS_119": CUSTOMER_KEY,
    "CKV_AWS_149": CUSTOMER_KEY,
    "CKV_AWS_158": "The logs hold no secrets, tokens or bodies. " + CUSTOMER_KEY,
    "CKV_AWS_173": "The variables hold names and addresses. Secrets are read from Secrets Manager.",
}


def findings() -> dict[str, set[str]]:
    """The resources that fail each check, by the check's id. Raises LocalStackError when checkov could not run."""
    command = [python_of("checkov"), "-m", "checkov.main", "--file", ROOT / "template.yaml", "--skip-download"]
    command += ["--framework", "cloudformation", "--compact", "--quiet", "--output", "json"]
    completed = subprocess.run(
        list(map(str, command)), env=own_environment(), capture_output=True, text=True, check=False
    )
    try:
        report: dict[str, Any] = json.loads(completed.stdout)
        if report["summary"]["parsing_errors"] or not report["summary"]["passed"]:
            raise LocalStackError("checkov did not read template.yaml")
        failures = report["results"]["failed_checks"]
    except (ValueError, KeyError, TypeError) as error:
        raise LocalStackError(f"checkov gave no report: {(completed.stdout + completed.stderr)[-500:]}") from error
    checks: dict[str, set[str]] = {}
    for failure in failures:
        checks.setdefault(failure["check_id"], set()).add(f"{failure['resource']}: {failure['check_name']}")
    return checks


def complaints(checks: dict[str, set[str]]) -> list[str]:
    """A message for each finding without a reason, and for each reason without a finding."""
    missing = [
        f"{check}: {resource}" for check in sorted(checks.keys() - REASONS.keys()) for resource in sorted(checks[check])
    ]
    return missing + [
        f"{check}: no longer found; delete its reason" for check in sorted(REASONS.keys() - checks.keys())
    ]


def main() -> int:
    """0 if every finding has a reason."""
    messages = complaints(findings())
    print("\n".join(messages) or "checkov: every finding has a reason")
    return 1 if messages else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LocalStackError as error:
        sys.exit(f"checkov: {error}")
