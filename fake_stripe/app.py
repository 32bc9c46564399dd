"""The Flask application: the REST API under /v1, the controls under /_control, and the pages."""

from urllib.parse import urlsplit

import flask
from flask import Flask, request
from flask.json.provider import DefaultJSONProvider
from flask.typing import ResponseReturnValue
from jinja2 import StrictUndefined
from werkzeug.exceptions import Forbidden, HTTPException, LengthRequired, NotFound

from fake_stripe import api, controls
from fake_stripe.errors import StripeError
from fake_stripe.fake import Fake
from fake_stripe.pages import routes as pages

MAX_BODY = 1_048_576
METHODS = ["GET", "POST", "DELETE", "PUT", "PATCH"]


class JsonInOrder(DefaultJSONProvider):
    sort_keys = False
    ensure_ascii = False


def create_app(fake: Fake) -> Flask:
    """Return the application with all routes of `fake`."""
    app = Flask("fake_stripe", static_folder=None)
    app.config.update(MAX_CONTENT_LENGTH=MAX_BODY, PROPAGATE_EXCEPTIONS=True)
    app.jinja_env.undefined = StrictUndefined
    app.json = JsonInOrder(app)
    app.before_request(_check_request)
    app.add_url_rule("/healthz", "healthz", lambda: {"status": "ok"})
    app.add_url_rule("/v1/<path:rest>", "api", lambda **_: _call_api(fake), methods=METHODS)
    app.register_blueprint(controls.blueprint(fake))
    app.register_blueprint(pages.blueprint(fake))
    app.register_error_handler(StripeError, lambda error: (error.body(), error.status))
    app.register_error_handler(HTTPException, _show_error)
    return app


def _check_request() -> None:
    """Reject bodies of unknown length, and forms that another site's page submits."""
    if "Transfer-Encoding" in request.headers or not request.headers.get("Content-Length", "0").isdigit():
        raise LengthRequired("Send a Content-Length")
    origin = request.headers.get("Origin")
    browser_only = not request.path.startswith("/v1/")
    if browser_only and request.method == "POST" and origin is not None and urlsplit(origin).netloc != request.host:
        raise Forbidden("Another site's page must not submit forms here")


def _call_api(fake: Fake) -> ResponseReturnValue:
    headers = {name.lower(): value for name, value in request.headers.items()}
    target = request.full_path if request.query_string else request.path
    response = fake.api.handle(api.Request(request.method, target, headers, request.get_data()))
    return flask.Response(response.body, response.status, response.headers, content_type="application/json")


def _show_error(error: HTTPException) -> ResponseReturnValue:
    """Return the page for an unknown address, or JSON in Stripe's format for any other error."""
    if not request.path.startswith(("/v1/", "/_control/")) and isinstance(error, NotFound):
        return pages.not_found()
    message = str(error.description)
    if isinstance(error, NotFound):
        message = f"No such control: {request.method} {request.path[:100]}; see fake_stripe/README.md"
    return StripeError(message, status=error.code or 500).body(), error.code or 500
