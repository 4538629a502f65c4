"""Which addresses functions may be served on."""

from __future__ import annotations

import ipaddress

from postmill.model.errors import Refused


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach ``host``."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check_exposure(host: str, *, keys_given: bool) -> None:
    """Raise :class:`Refused` for an address that others can reach, with keys not made on purpose."""
    if not is_loopback(host) and not keys_given:
        raise Refused(
            f"Functions are not served on {host} without keys of this project's own.",
            why="Other machines can reach that address.",
            hint="Run postmill init, or set POSTMILL_JWT_SECRET; or listen on 127.0.0.1.",
        )
