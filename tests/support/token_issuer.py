"""A token issuer whose key the tests have, and a gateway that trusts it.

Cognito signs only its own claims; here a test gets a valid signature for any claims. The gateway has the deployed
routes and functions, and the authorizer that the template's JwtIssuer and JwtAudience would make.
"""

import base64
import hashlib
import json
import secrets
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import gcd
from typing import TYPE_CHECKING, Any

from local.deploy import Deployed, client
from local.routes import API, AUTHORIZER, import_routes

if TYPE_CHECKING:
    from mypy_boto3_apigatewayv2 import ApiGatewayV2Client

AUDIENCE = "prepaid-of-the-outside"
PRIME_BITS, EXPONENT = 1024, 65_537
SMALL_PRIMES = [number for number in range(3, 1_000) if all(number % lower for lower in range(2, number))]
ROUNDS = 20
# What a signature of SHA-256 begins with: https://www.rfc-editor.org/rfc/rfc8017#section-9.2
SHA256_INFO = bytes.fromhex("3031300d060960864801650304020105000420")


@dataclass(frozen=True)
class Key:
    """An RSA key. kid: the name under which it is published, or said to be."""

    kid: str
    modulus: int
    private: int

    @property
    def published(self) -> dict[str, str]:
        """As a JWKS lists it."""
        size = (self.modulus.bit_length() + 7) // 8
        numbers = {"n": self.modulus.to_bytes(size), "e": EXPONENT.to_bytes(3)}
        return {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.kid} | {
            name: packed(number) for name, number in numbers.items()
        }

    def token(self, claims: Mapping[str, Any]) -> str:
        """A JSON web token with exactly these claims, signed with RS256."""
        head = {"alg": "RS256", "typ": "JWT", "kid": self.kid}
        signed_part = f"{packed(json.dumps(head).encode())}.{packed(json.dumps(claims).encode())}"
        size = (self.modulus.bit_length() + 7) // 8
        end = b"\x00" + SHA256_INFO + hashlib.sha256(signed_part.encode()).digest()
        block = b"\x00\x01" + b"\xff" * (size - 2 - len(end)) + end
        return f"{signed_part}.{packed(pow(int.from_bytes(block), self.private, self.modulus).to_bytes(size))}"


def new_key(kid: str) -> Key:
    """A key of 2048 bits, made in a second or two."""
    first, second = _prime(), _prime()
    return Key(kid, first * second, pow(EXPONENT, -1, (first - 1) * (second - 1)))


def packed(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


@contextmanager
def publishing(key: Key) -> Iterator[str]:
    """The address of an issuer that publishes this key and no other."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer: dict[str, Any] = {"issuer": url, "jwks_uri": f"{url}/keys"}
            if self.path == "/keys":
                answer = {"keys": [key.published]}
            text = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's own name
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield url
    finally:
        server.shutdown()
        server.server_close()


def gateway_trusting(deployed: Deployed, issuer: str) -> str:
    """The address of another gateway before the same functions, which takes this issuer's tokens."""
    gateway: ApiGatewayV2Client = client(deployed.cloud, "apigatewayv2")
    api_id = gateway.create_api(Name="outside", ProtocolType="HTTP")["ApiId"]
    gateway.create_stage(ApiId=api_id, StageName="$default", AutoDeploy=True)
    template = deepcopy(dict(deployed.template))
    for scheme in template["Resources"][API]["Properties"]["Body"]["components"]["securitySchemes"].values():
        scheme[AUTHORIZER]["jwtConfiguration"] = {"issuer": issuer, "audience": [AUDIENCE]}
    other = replace(deployed, template=template, outputs={**deployed.outputs, "ApiId": api_id})
    import_routes(other)
    return other.api_url


def _prime() -> int:
    while True:
        # The two highest bits, so that two of them have a product of twice the length.
        number = secrets.randbits(PRIME_BITS) | 3 << (PRIME_BITS - 2) | 1
        if all(number % small for small in SMALL_PRIMES) and _is_prime(number) and gcd(number - 1, EXPONENT) == 1:
            return number


def _is_prime(number: int) -> bool:
    """Miller and Rabin's test."""
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for _ in range(ROUNDS):
        power = pow(secrets.randbelow(number - 3) + 2, odd, number)
        if power in {1, number - 1}:
            continue
        for _ in range(twos - 1):
            power = power * power % number
            if power == number - 1:
                break
        else:
            return False
    return True
