"""Invalid input and limits: each gets a documented error and never a crash."""

import json
import socket

import pytest

from fake_stripe import forms, webhooks
from fake_stripe.app import MAX_BODY
from fake_stripe.errors import StripeError
from fake_stripe.server import RunningFake
from fake_stripe.state import KEPT_OBJECTS, State
from fake_stripe.tests.support import KEY, Controls, Sdk
from fake_stripe.webhooks import Settings, Webhooks

HEADERS = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/x-www-form-urlencoded"}


def test_nested_names_become_nested_values() -> None:
    decoded = forms.decode("a[b][0][c]=1&a[b][1][c]=2&d[]=x&d[]=y&e=%C3%A9")

    params = forms.Params(decoded)
    assert [child.text("c") for child in params.child("a").children("b")] == ["1", "2"]
    assert params.strings("d") == ["x", "y"]
    assert params.text("e") == "é"


@pytest.mark.parametrize(
    "text",
    [
        "a[b=1", "a]b=1", "a[b]c=1", "[a]=1", "=1", "a=1&a[b]=2", "a[b]=1&a=2", "a[" + "x][" * 9 + "y]=1",
        "&".join(f"a{number}=1" for number in range(1001)), "a=%ff",
    ],
)  # fmt: skip
def test_a_malformed_form_is_rejected(text: str) -> None:
    with pytest.raises(StripeError):
        forms.decode(text)


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"name=A", HEADERS | {"Content-Type": "application/json"}, 400),
        (b"\xff\xfe", HEADERS, 400),
        (b"name=%ff", HEADERS, 400),
        (b"metadata=x", HEADERS, 400),
        (b"name[x]=1", HEADERS, 400),
        (b"x" * (MAX_BODY + 1), HEADERS, 413),
        (b"", HEADERS | {"Content-Length": "-1"}, 411),
        (b"", HEADERS | {"Transfer-Encoding": "chunked"}, 411),
    ],
)
def test_an_invalid_body_gets_an_error_in_stripes_format(
    fake: RunningFake, controls: Controls, body: bytes, headers: dict[str, str], status: int
) -> None:
    got, _, answer = controls.request("POST", "/v1/customers", body, headers)

    assert (got, json.loads(answer)["error"]["type"]) == (status, "invalid_request_error")
    assert fake.state.tables == {}


@pytest.mark.parametrize("body", [b"[]", b"{", b"\xff", b"[" * 100_000, b'{"nonsense": 1}', b"nonsense"])
def test_a_control_with_an_invalid_body_is_rejected(sdk: Sdk, controls: Controls, body: bytes) -> None:
    session = sdk.session()

    status, _, answer = controls.request("POST", f"/_control/sessions/{session.id}/pay", body)

    assert (status, "error" in json.loads(answer)) == (400, True)
    assert sdk.fetched(session).payment_status == "unpaid"


def test_a_control_accepts_json_that_curl_sends_as_a_form(sdk: Sdk, controls: Controls) -> None:
    session = sdk.session()

    plain = {"Content-Type": "application/x-www-form-urlencoded"}
    path = f"/_control/sessions/{session.id}/pay"
    status, _, answer = controls.request("POST", path, b'{"method": "boleto"}', plain)

    assert (status, json.loads(answer)["id"]) == (200, session.id)
    assert sdk.events("checkout.session.async_payment_succeeded")


def test_unknown_controls_and_objects_return_404(fake: RunningFake, controls: Controls) -> None:
    for path in (
        "nothing",
        "sessions/cs_test_nobody/pay",
        "refunds/re_x/fail",
        "disputes/du_x/won",
        "events/e/redeliver",
    ):
        controls.post(path, expect=404)


def test_the_fake_listens_on_the_loopback_interface_only(fake: RunningFake) -> None:
    port = int(fake.url.rpartition(":")[2])

    with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
        assert connection.getpeername()[0] == "127.0.0.1"
    assert fake._server.socket.getsockname()[0] == "127.0.0.1"


def test_a_client_that_disconnects_does_no_harm(fake: RunningFake, controls: Controls) -> None:
    port = int(fake.url.rpartition(":")[2])
    fields = "".join(f"{name}: {value}\r\n" for name, value in (HEADERS | {"Content-Length": "100"}).items())
    half = f"POST /v1/customers HTTP/1.1\r\n{fields}\r\nname=A"
    for start in ("", half, "nonsense\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.sendall(start.encode())
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(4096):
                pass

    assert controls.request("GET", "/healthz")[0] == 200
    assert fake.state.tables == {}


def test_the_oldest_objects_are_dropped_at_the_limit() -> None:
    kept = State()

    for number in range(KEPT_OBJECTS + 2):
        kept.put({"object": "customer", "id": f"cus_{number}"})

    ids = [customer["id"] for customer in kept.newest_first("customer")]
    assert (len(ids), ids[0], ids[-1]) == (KEPT_OBJECTS, f"cus_{KEPT_OBJECTS + 1}", "cus_2")


def test_the_oldest_attempts_are_dropped_at_the_limit() -> None:
    sender = Webhooks(Settings(url="http://127.0.0.1:9/", lose_next=10_000))

    for number in range(webhooks.KEPT_ATTEMPTS + 5):
        sender.announce({"id": f"evt_{number}", "type": "customer.created"})
    sender.close()

    attempts = sender.attempts()
    assert len(attempts) == webhooks.KEPT_ATTEMPTS
    assert attempts[-1]["event"] == f"evt_{webhooks.KEPT_ATTEMPTS + 4}"
