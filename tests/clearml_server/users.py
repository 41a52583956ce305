"""auth.*, users.*, organization.*, server.*, login.*: one user in one company."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time

from .errors import ApiError
from .query import USERS, find
from .state import (
    API_VERSION,
    COMPANY,
    SERVER_VERSION,
    USER,
    USER_NAME,
    Call,
    State,
    endpoint,
    new_id,
    now,
)

ACCESS_KEY = "TESTKEY00000000000000000000001"
SECRET_KEY = "test-secret-of-the-in-memory-server"  # opens nothing but this server
TOKEN_LIFE = 30 * 24 * 3600  # seconds
_SIGNING_KEY = b"in-memory-clearml-server"


def make_token(expiration: int | None = None) -> str:
    """A JWT: clients read the API version and the feature set from it."""
    seconds = int(time.time())
    identity = {"user": USER, "company": COMPANY, "role": "user"}
    claims = {
        "auth_type": "Bearer",
        "identity": {**identity, "user_name": USER_NAME, "company_name": "clearml"},
        "env": "<unknown>",
        "iat": seconds,
        "exp": seconds + int(expiration or TOKEN_LIFE),
        "session_id": new_id(),
        "api_version": API_VERSION,
        "server_version": SERVER_VERSION,
        "server_build": "0",
        "feature_set": "basic",
    }
    body = f"{_encode({'alg': 'HS256', 'typ': 'JWT'})}.{_encode(claims)}"
    return f"{body}.{_sign(body)}"


def authorize(header: str | None) -> None:
    """Let a request with our key or one of our tokens pass, raise for all others."""
    kind, _, value = (header or "").partition(" ")
    if kind == "Basic":
        if base64.b64decode(value).decode() != f"{ACCESS_KEY}:{SECRET_KEY}":
            message = "failed to locate provided credentials"
            raise ApiError("invalid_credentials", message)
    elif kind == "Bearer":
        body, _, signature = value.rpartition(".")
        if not hmac.compare_digest(signature, _sign(body)):
            raise ApiError("invalid_token", "Signature verification failed")
    else:
        raise ApiError("no_credentials")


def _encode(data: dict) -> str:
    return base64.urlsafe_b64encode(json.dumps(data).encode()).rstrip(b"=").decode()


def _sign(body: str) -> str:
    digest = hmac.new(_SIGNING_KEY, body.encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def add_user(state: State) -> None:
    user = {"id": USER, "name": USER_NAME, "given_name": "Test", "family_name": "User"}
    state.users[USER] = {**user, "company": COMPANY, "created": now()}


@endpoint("auth.login")
def login(state: State, call: Call) -> dict:
    return {"token": make_token(call.data.get("expiration_sec"))}


@endpoint("server.info")
def info(state: State, call: Call) -> dict:
    return {
        **{"version": SERVER_VERSION, "build": "0", "commit": ""},
        **{"uid": "in-memory", "api_version": API_VERSION},
    }


@endpoint("debug.ping")
def ping(state: State, call: Call) -> dict:
    return {"msg": "ClearML server"}


@endpoint("users.get_current_user")
def get_current_user(state: State, call: Call) -> dict:
    company = {"id": COMPANY, "name": "clearml"}
    user = {**state.users[USER], "company": company, "role": "user"}
    settings = {"max_download_items": 1000}
    return {"user": user, "getting_started": None, "settings": settings}


@endpoint("users.get_all")
def get_all(state: State, call: Call) -> dict:
    return {"users": find(state, USERS, call.data)}
