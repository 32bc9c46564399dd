"""Forged tokens and crafted paths at the deployed gateway: only the stack's own tokens have access."""

import base64
import hashlib
import hmac
import http.client
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from local.deploy import client
from local.stack import Stack, token
from tests.support.api import BALANCE, CONSUME, Answer, new_key
from tests.support.contract import routes, scope_of
from tests.support.over_http import HttpApi, exchange

if TYPE_CHECKING:
    from mypy_boto3_cognito_idp import CognitoIdentityProviderClient

GUARDED = [route for route in routes() if scope_of(route)]
SCOPES = ["admin", "buy", "consume", "read"]
NOBODYS_PATHS = [
    "/v1/accounts/{other}/../{account}/balance",
    "/v1/accounts/%2e%2e/{account}/balance",
    "/v1/accounts/./{account}/balance",
    "/v1/accounts//{account}/balance",
    "/v1//accounts/{account}/balance",
    "/V1/accounts/{account}/balance",
    "/v1/accounts/{account}/balance/",
    "/v1/accounts/{account}%00/balance",
    "/v1/accounts/{account}%20/balance",
    "/v1/accounts/{account}+/balance",
    "/v1/accounts/{account};x=1/balance",
    "/v1/accounts/{account}%3fat=x/balance",
    "/v1/accounts/{account}%23/balance",
    "/v1/accounts/{account}%2f..%2f{account}/balance",
    "/v1/accounts/{account}%252f/balance",
    "/v1/accounts/{account}%5c/balance",
    "/v1/accounts/{account}%E2%80%8B/balance",
    "/v1/accounts/%EF%BD%93hop/balance",
    "/v1/accounts/%FF%FE/balance",
    "/v1/accounts/%ED%A0%80/balance",
    "/v1/accounts/%/balance",
    "/v1/accounts/{{account}}/balance",
    "/v1/accounts/*/balance",
    "/v1/accounts/{long}/balance",
]


@pytest.fixture(scope="module")
def strangers_tokens(stack: Stack) -> dict[str, str]:
    """Tokens with every scope, validly signed: of an unknown client, and of another pool."""
    cognito: CognitoIdentityProviderClient = client(stack.deployed.cloud, "cognito-idp")
    own = stack.deployed.outputs["UserPoolId"]
    other = cognito.create_user_pool(PoolName="somebody-elses")["UserPool"]["Id"]
    cognito.create_resource_server(
        UserPoolId=other,
        Identifier="prepaid",
        Name="Prepaid",
        Scopes=[{"ScopeName": name, "ScopeDescription": name} for name in SCOPES],
    )
    return {pool: _token_of_a_new_client(stack, cognito, pool) for pool in (own, other)}


def _token_of_a_new_client(stack: Stack, cognito: "CognitoIdentityProviderClient", pool: str) -> str:
    client = cognito.create_user_pool_client(
        UserPoolId=pool,
        ClientName="stranger",
        GenerateSecret=True,
        AllowedOAuthFlowsUserPoolClient=True,
        AllowedOAuthFlows=["client_credentials"],
        AllowedOAuthScopes=[f"prepaid/{name}" for name in SCOPES],
    )["UserPoolClient"]
    password = base64.b64encode(f"{client['ClientId']}:{client['ClientSecret']}".encode()).decode()
    headers = {"Authorization": f"Basic {password}", "Content-Type": "application/x-www-form-urlencoded"}
    url = f"{stack.deployed.cloud.url}/oauth2/token"
    answer = exchange("POST", url, b"grant_type=client_credentials", headers)
    assert answer.status == 200, answer
    return str(answer.body["access_token"])


def claims_of(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(text.split(".")[1] + "=="))
    return found


def packed(value: Any) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def ask(api: HttpApi, path: str, *headers: tuple[str, str], method: str = "GET", body: bytes = b"") -> Answer:
    """One request with exactly these headers, any of them as often as it is here."""
    parts = urlsplit(api.url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=60)
    try:
        connection.putrequest(method, parts.path + path)
        for name, value in (*headers, ("Content-Length", str(len(body)))):
            connection.putheader(name, value)
        connection.endheaders(body)
        response = connection.getresponse()
        text = response.read().decode()
        names = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, names, json.loads(text) if text else None, text)
    finally:
        connection.close()


def bearer(text: str) -> tuple[str, str]:
    return ("Authorization", f"Bearer {text}")


@pytest.mark.parametrize("route", GUARDED)
def test_a_client_of_another_pool_has_no_access(
    api: HttpApi, account: str, strangers_tokens: dict[str, str], route: str
) -> None:
    for text in strangers_tokens.values():
        assert set(claims_of(text)["scope"].split()) == {f"prepaid/{name}" for name in SCOPES}
        sent: dict[str, Any] = {} if route.startswith("GET") else {"json": {}}
        assert api(route, account, by=text, id="pur_0", **sent).status == 401


def test_a_token_signed_with_the_public_key_has_no_access(api: HttpApi, stack: Stack, account: str) -> None:
    """Signed by HS256 with the public key as its secret, a classic attack."""
    pool = stack.deployed.outputs["UserPoolId"]
    published = exchange("GET", f"{stack.deployed.cloud.url}/{pool}/.well-known/jwks.json", None, {})
    [key, *_] = published.body["keys"]
    modulus = base64.urlsafe_b64decode(key["n"] + "==")
    claims = {**claims_of(api.tokens["service"]), "scope": "prepaid/admin prepaid/read"}

    for secret in (modulus, key["n"].encode(), json.dumps(key).encode(), b"", key["kid"].encode()):
        for algorithm, digest in (("HS256", "sha256"), ("HS512", "sha512")):
            signed = f"{packed({'alg': algorithm, 'kid': key['kid'], 'typ': 'JWT'})}.{packed(claims)}"
            signature = packed(hmac.new(secret, signed.encode(), getattr(hashlib, digest)).digest())
            assert api(BALANCE, account, by=f"{signed}.{signature}").status == 401


@pytest.mark.parametrize(
    "head",
    [
        {"alg": "none"},
        {"alg": "None"},
        {"alg": "NONE"},
        {"alg": ""},
        {},
        {"alg": "RS256"},
        {"alg": "RS256", "kid": ""},
        {"alg": "RS256", "kid": "../../etc/passwd"},
        {"alg": "RS256", "kid": "' OR 1=1 --"},
        {"alg": "RS256", "jku": "http://127.0.0.1:1/keys", "kid": "mine"},
        {"alg": "RS256", "jwk": {"kty": "RSA", "n": "AQAB", "e": "AQAB"}},
    ],
    ids=json.dumps,
)
def test_a_token_with_another_header_has_no_access(api: HttpApi, account: str, head: dict[str, Any]) -> None:
    _, claims, signature = api.tokens["service"].split(".")

    for end in (signature, "", "AA"):
        assert api(BALANCE, account, by=f"{packed(head)}.{claims}.{end}").status == 401


@pytest.mark.parametrize(
    "change",
    [
        {"exp": 4_102_444_800},
        {"exp": 1},
        {"iss": "https://issuer.example"},
        {"client_id": "somebody"},
        {"scope": "PREPAID/ADMIN"},
        {"scope": ["prepaid/admin"]},
        {"account_id": "zoo"},
    ],
    ids=json.dumps,
)
def test_a_token_with_a_changed_claim_has_no_access(api: HttpApi, account: str, change: dict[str, Any]) -> None:
    head, _, signature = api.tokens["service"].split(".")
    claims = packed({**claims_of(api.tokens["service"]), **change})

    assert api(BALANCE, account, by=f"{head}.{claims}.{signature}").status == 401


def test_a_token_is_read_from_one_authorization_header_only(api: HttpApi, account: str) -> None:
    good = api.tokens["service"]
    path = f"/v1/accounts/{account}/balance"

    answers = [
        ask(api, f"{path}?access_token={good}"),
        ask(api, f"{path}?Authorization={good}"),
        ask(api, path, ("Cookie", f"Authorization={good}; access_token={good}")),
        ask(api, path, ("X-Authorization", f"Bearer {good}")),
        ask(api, path, bearer(good), bearer("x")),
        ask(api, path, bearer("x"), bearer(good)),
        ask(api, path, ("Authorization", f"Basic {good}")),
        ask(api, path, ("Authorization", f"Bearer {good} {good}")),
    ]

    assert ask(api, path, bearer(good)).status == 200
    assert [answer.status for answer in answers] == [401] * 8


@pytest.mark.parametrize("path", NOBODYS_PATHS)
def test_a_crafted_path_reaches_no_other_account(api: HttpApi, account: str, path: str) -> None:
    crooked = path.format(account=account, other="nobody", long="a" * 7_000)

    answer = ask(api, crooked, bearer(api.tokens["service"]))

    assert answer.status in {400, 404, 414}, answer
    assert account not in answer.text


def test_two_keys_on_one_request_are_still_one_effect(api: HttpApi, account: str) -> None:
    """A proxy may join them: they count as one different key, or are rejected."""
    first, second = new_key(), new_key()
    headers = [bearer(api.tokens["service"]), ("Content-Type", "application/json")]
    before = api.balance(account)["credits"]["available"]

    def spend(*keys: str) -> Answer:
        key_headers = [("Idempotency-Key", key) for key in keys]
        path = f"/v1/accounts/{account}/consumptions"
        return ask(api, path, *headers, *key_headers, method="POST", body=b'{"feature": "sticker"}')

    answers = [spend(first, second) for _ in range(3)]

    statuses = {answer.status for answer in answers}
    assert statuses in ({201}, {400})
    assert len({answer.text_of_any_request for answer in answers}) == 1
    assert api.balance(account)["credits"]["available"] == before - (statuses == {201})


def test_a_new_token_has_its_own_clients_scopes_only(api: HttpApi, stack: Stack, account: str) -> None:
    """Each token has its own client's scopes and no others."""
    fresh = token(stack.deployed, stack.deployed.outputs["StorefrontClientId"])

    assert api(CONSUME, account, by=fresh, json={"feature": "sticker"}).status == 403
