"""AWS's own emulator of the database: its package is verified, and it stops after the test."""

import socket
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore.session import get_session

from local import dynamodb_local
from local.dynamodb_local import require_supported, unpack
from local.processes import HOST, LocalStackError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

TABLE = "probe"


@pytest.fixture
def client(dynamodb_local: str) -> "DynamoDBClient":
    database: DynamoDBClient = get_session().create_client(  # type: ignore[assignment]
        "dynamodb",
        region_name="us-east-1",
        endpoint_url=dynamodb_local,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    return database


def test_transactions_work_and_name_the_condition_that_failed(client: "DynamoDBClient") -> None:
    client.create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "PK", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "PK", "AttributeType": "S"}],
    )
    first: Any = [put("a", "first")]
    client.transact_write_items(TransactItems=first)

    second: Any = [put("b", "second"), put("a", "second")]
    with pytest.raises(client.exceptions.TransactionCanceledException) as refused:
        client.transact_write_items(TransactItems=second)

    reasons: Any = refused.value.response["CancellationReasons"]
    assert [reason["Code"] for reason in reasons] == ["None", "ConditionalCheckFailed"]
    assert reasons[1]["Item"] == {"PK": {"S": "a"}, "said": {"S": "first"}}
    assert client.scan(TableName=TABLE)["Items"] == [{"PK": {"S": "a"}, "said": {"S": "first"}}]


def test_two_instances_run_at_once_and_leave_no_open_port() -> None:
    with dynamodb_local.dynamodb_local("one") as first, dynamodb_local.dynamodb_local("other") as second:
        ports = first.port, second.port
        assert all(listens(port) for port in ports)

    assert not any(listens(port) for port in ports)


def test_a_package_with_another_hash_is_not_unpacked(tmp_path: Path) -> None:
    with pytest.raises(LocalStackError, match="SHA-512 differs"):
        unpack(b"not the package", tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_a_registry_that_cannot_be_reached_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: Any, **__: Any) -> None:
        raise urllib.error.URLError("no route")

    monkeypatch.setattr(urllib.request, "urlopen", unreachable)

    with pytest.raises(LocalStackError, match=r"https://registry.* could not be fetched: .*no route"):
        dynamodb_local.download(tmp_path)


@pytest.mark.parametrize(
    "machine", [("linux", "x86_64", "glibc"), ("linux", "aarch64", "glibc"), ("darwin", "arm64", "")]
)
def test_it_runs_on_supported_systems(machine: tuple[str, str, str]) -> None:
    require_supported(*machine)


@pytest.mark.parametrize("machine", [("linux", "x86_64", ""), ("linux", "riscv64", "glibc"), ("win32", "AMD64", "")])
def test_other_systems_get_the_requirements(machine: tuple[str, str, str]) -> None:
    with pytest.raises(LocalStackError, match="it needs macOS, or Linux with glibc"):
        require_supported(*machine)


def put(key: str, value: str) -> Any:
    return {
        "Put": {
            "TableName": TABLE,
            "Item": {"PK": {"S": key}, "said": {"S": value}},
            "ConditionExpression": "attribute_not_exists(PK)",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
    }


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0
