"""Files in object storages, s3://, gs:// and azure://, by way of ClearML.

Its configuration has the credentials (such as `sdk.aws.s3` in clearml.conf), or the environment.
"""

from __future__ import annotations

import importlib
import logging
from typing import Any, NamedTuple

DRIVERS = {"s3": "boto3", "gs": "google.cloud.storage", "azure": "azure.storage.blob"}
SECTIONS = {"s3": "aws.s3", "gs": "google.storage", "azure": "azure.storage"}
MEANINGS = {
    "there is no such bucket": ("NoSuchBucket", "NotFound", "ContainerNotFound"),
    "there are no credentials": ("NoCredentialsError", "DefaultCredentialsError"),
    "the credentials are not accepted": (
        *("AccessDenied", "Forbidden", "InvalidAccessKeyId", "SignatureDoesNotMatch"),
        *("AuthenticationFailed", "ClientAuthenticationError"),
    ),
}


class Object(NamedTuple):
    """A file in a bucket."""

    name: str  # below the folder that was asked for
    size: int  # bytes
    mark: str  # changes with the bytes, as far as the storage tells
    address: str


def listing(address: str) -> list[Object]:
    """What is below an address, or the one file there, which has an empty name.

    LookupError, with a line for people, when the storage can't be read.
    """
    scheme = address.partition("://")[0].lower()
    try:
        importlib.import_module(DRIVERS[scheme])
    except ImportError:
        package = f"pip install 'clearml[{scheme}]'"
        raise LookupError(f"needs {DRIVERS[scheme]} where it is read: {package}") from None
    try:
        return _list(address, scheme)
    except Exception as error:  # each storage has its own; their texts may have keys in them
        code = _code(error)
        known = (meaning for meaning, codes in MEANINGS.items() if code in codes)
        meaning = next(known, "the storage can't be read")
        told = f"{meaning} ({code}; see sdk.{SECTIONS[scheme]} in clearml.conf)"
        raise LookupError(told) from None


def fetch(address: str, target: str) -> bool:
    """Fetch an object to a file; whether it arrived. OSError as for any file."""
    try:
        done = _helper(address).download_to_file(
            address,
            target,
            overwrite_existing=True,
            skip_zero_size_check=True,
            silence_errors=True,
        )
    except OSError:
        raise
    except Exception:
        return False
    return bool(done)


def _list(address: str, scheme: str) -> list[Object]:
    helper = _helper(address)
    wanted = address[len(helper.base_url) :].strip("/")
    # Not `StorageManager.list`, which tells neither what went wrong nor whether a file changed.
    if scheme == "s3":
        objects = helper._container.bucket.objects.filter(Prefix=wanted)
    else:
        objects = helper._driver.list_container_objects(helper._container, ex_prefix=wanted)
    found = []
    for one in objects:
        key = str(getattr(one, "key", None) or one.name)
        folder = f"{wanted}/" if wanted else ""
        if not key.endswith("/") and (key == wanted or key.startswith(folder)):
            mark = getattr(one, "e_tag", None) or getattr(one, "etag", None) or ""
            name = key[len(folder) :]
            size, place = int(one.size or 0), f"{helper.base_url}/{key}"
            found.append(Object(name, size, str(mark).strip('"'), place))
    return sorted(found)


def _helper(address: str) -> Any:
    """ClearML's access to a bucket; LookupError when it has no credentials."""
    from clearml.storage.helper import StorageHelper

    logging.getLogger("clearml.storage").setLevel(logging.CRITICAL)  # it is told here what fails
    helper = StorageHelper.get(address)
    if helper is None:
        raise LookupError("NoCredentialsError")
    return helper


def _code(error: Exception) -> str:
    """The name that a storage gives to an error."""
    answer = getattr(error, "response", None)
    code = answer.get("Error", {}).get("Code") if isinstance(answer, dict) else None
    code = code or getattr(error, "error_code", None)
    return str(code or (error if isinstance(error, LookupError) else type(error).__name__))
