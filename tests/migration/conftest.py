"""Fixtures for tests that install our schema."""

from __future__ import annotations

from tests.empty_database import connect, empty, empty_url, owner

__all__ = ["connect", "empty", "empty_url", "owner"]
