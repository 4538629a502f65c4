"""What an application imports to send messages, on its own connection or on the caller's.

Knows statements and values only; a driver is imported when a target asks for it.
"""

from __future__ import annotations

from postmill.client.asynchronous import AsyncClient
from postmill.client.synchronous import Client

__all__ = ["AsyncClient", "Client"]
