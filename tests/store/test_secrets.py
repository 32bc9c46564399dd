"""Secrets: read when first needed, and again after a while so that a rotation is seen."""

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError
from botocore.session import get_session

from prepaid.store.secrets import Secret
from tests.support.store_driver import NO_DEADLINE, FakeTime

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient


@pytest.fixture(scope="module")
def owner(cloud: None) -> "SecretsManagerClient":
    """A stand-in for Secrets Manager."""
    client: SecretsManagerClient = get_session().create_client("secretsmanager")  # type: ignore[assignment]
    return client


@pytest.fixture
def name(owner: "SecretsManagerClient") -> str:
    name = f"secret-{uuid4().hex}"
    owner.create_secret(Name=name, SecretString="first")
    return name


def test_a_secret_is_read_once_while_it_is_fresh(owner: "SecretsManagerClient", name: str) -> None:
    time = FakeTime()
    secret = Secret(name, time.clock, seconds=300)
    assert secret(NO_DEADLINE) == "first"
    owner.put_secret_value(SecretId=name, SecretString="second")

    time.now += 299

    assert secret(NO_DEADLINE) == "first"


def test_a_rotated_secret_is_seen_after_its_seconds(owner: "SecretsManagerClient", name: str) -> None:
    time = FakeTime()
    secret = Secret(name, time.clock, seconds=300)
    assert secret(NO_DEADLINE) == "first"
    owner.put_secret_value(SecretId=name, SecretString="second")

    time.now += 300

    assert secret(NO_DEADLINE) == "second"
    owner.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
    assert secret(NO_DEADLINE) == "second"


def test_no_client_is_made_until_the_secret_is_needed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    created: list[str] = []

    def refuse(*_: Any, **__: Any) -> None:
        created.append("client")
        raise AssertionError

    monkeypatch.setattr("boto3.client", refuse)
    secret = Secret(name, FakeTime().clock)

    assert created == []
    with pytest.raises(AssertionError):
        secret(NO_DEADLINE)
    assert created == ["client"]


def test_a_missing_secret_is_an_error(cloud: None) -> None:
    secret = Secret("no-such-secret", FakeTime().clock)

    with pytest.raises(ClientError, match="can't find the specified secret"):
        secret(NO_DEADLINE)
