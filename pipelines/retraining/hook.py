"""A message to an address that nobody but its owner should see.

The address is often the only secret of a chat's webhook, and ClearML shows a task's parameters and
console to everybody. So the configuration names an environment variable of the machine where the
scheduler runs, and no error, log line or repr holds the address: an exception of `requests` would.
"""

from __future__ import annotations

import logging
import os
import re
import threading
from typing import Any
from urllib.parse import urlsplit

import requests

from components.runtime.schema import BadInput

log = logging.getLogger(__name__)

TIMEOUT = 10.0  # seconds for a message; a hook that hangs holds nothing up for longer


class Hook:
    """POSTs JSON; a hook that fails is told in the log, and harms nothing."""

    def __init__(self, variable: str | None) -> None:
        """`BadInput` unless the variable is there and holds an http(s) address."""
        check_name(variable)
        self._address = os.environ.get(variable, "").strip() if variable else None
        if self._address == "":
            raise BadInput(
                f"notify={variable}: there is no such environment variable on this machine"
            )
        if self._address and not _is_address(self._address):
            raise BadInput(f"notify={variable}: what it holds is not an http(s) address")

    def send(self, message: dict[str, Any]) -> None:
        """Returns after `TIMEOUT` even if the other side sends a byte now and then."""
        if self._address:
            thread = threading.Thread(target=self._post, args=(message,), daemon=True)
            thread.start()
            thread.join(TIMEOUT)
            if thread.is_alive():
                log.warning("notify: no answer within %g s", TIMEOUT)

    def _post(self, message: dict[str, Any]) -> None:
        try:
            with requests.post(
                self._address, json=message, timeout=TIMEOUT, allow_redirects=False, stream=True
            ) as answer:
                if not 200 <= answer.status_code < 300:
                    log.warning("notify: the hook answered %d", answer.status_code)
        except Exception as error:  # whatever it is, its text may have the address
            log.warning("notify: the hook can't be reached (%s)", type(error).__name__)


def check_name(variable: str | None) -> None:
    """`BadInput` for what is no variable's name, such as the address itself."""
    if variable and not re.fullmatch(r"[A-Za-z_]\w*", variable):
        raise BadInput(
            "notify: give the name of an environment variable that holds the address, "
            "not the address, which everybody would see on the scheduler's page"
        )


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)
