"""Supaworker in Python: jobs of its tables, moved into a queue and run by the same engine as any worker's."""

from __future__ import annotations

from postmill.handlers.supaworker.job import SupaworkerJob
from postmill.handlers.supaworker.supaworker import Supaworker

__all__ = ["Supaworker", "SupaworkerJob"]
