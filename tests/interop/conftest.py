"""Fixtures for tests beside other pgmq clients and releases."""

from __future__ import annotations

from tests.empty_database import connect, empty, empty_url

__all__ = ["connect", "empty", "empty_url"]
