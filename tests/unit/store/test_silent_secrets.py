"""Secrets Manager doesn't respond: a secret that was read stays valid and is requested once in its 300 seconds."""

from types import SimpleNamespace
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import ConnectTimeoutError

from prepaid.core.errors import Busy
from prepaid.store.secrets import Secret
from tests.support.aws_responses import aws_client, json_response
from tests.support.store_driver import NO_DEADLINE, FakeTime


class SecretsManager:
    """calls: how often the secret was requested, not counting the SDK's own retries."""

    def __init__(self) -> None:
        self.calls = 0
        self.silent = False

    def client(self, service: str, config: Config) -> Any:
        client = aws_client(service, config)
        client.meta.events.register("before-call.secrets-manager.GetSecretValue", self._count)
        client.meta.events.register("before-send.secrets-manager.GetSecretValue", self._respond)
        return client

    def _count(self, **_: Any) -> None:
        self.calls += 1

    def _respond(self, **_: Any) -> AWSResponse:
        if self.silent:
            raise ConnectTimeoutError(endpoint_url="http://aws")
        return json_response({"SecretString": "whsec_1"})


@pytest.fixture
def manager(monkeypatch: pytest.MonkeyPatch) -> SecretsManager:
    manager = SecretsManager()
    monkeypatch.setattr("boto3.client", manager.client)
    # The SDK's pauses between its retries are real seconds.
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None))
    return manager


def test_a_silent_secrets_manager_is_called_once_in_300_seconds(manager: SecretsManager) -> None:
    time = FakeTime()
    secret = Secret("stripe", time.clock)
    assert secret(NO_DEADLINE) == "whsec_1"
    manager.silent = True
    time.now += 300

    calls = []
    for seconds in (0, 299, 1, 0):
        time.now += seconds
        assert secret(NO_DEADLINE) == "whsec_1"
        calls.append(manager.calls)

    assert calls == [2, 2, 3, 3]


def test_a_secret_that_was_never_read_is_tried_until_the_deadline(manager: SecretsManager) -> None:
    time = FakeTime()
    manager.silent = True
    secret = Secret("stripe", time.clock)

    with pytest.raises(Busy):
        secret(time.deadline(4.0))

    assert manager.calls > 2
    assert time.now <= 1004.0
    manager.silent = False
    assert secret(time.deadline()) == "whsec_1"


def test_no_secret_is_read_after_the_deadline(manager: SecretsManager) -> None:
    time = FakeTime()
    secret, late = Secret("stripe", time.clock), time.deadline(0.0)

    with pytest.raises(Busy):
        secret(late)
    calls = [manager.calls]
    secret(time.deadline())
    time.now += 300

    assert secret(late) == secret.read_again(late) == "whsec_1"
    assert [*calls, manager.calls] == [0, 1]
