"""Postmill: background work for Python on one Postgres.

Public names load lazily (PEP 562): importing the package stays cheap for child processes and ``--help``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from postmill.client import AsyncClient, Client
    from postmill.client.options import Then
    from postmill.client.routed import AsyncRoutedClient
    from postmill.client.routed_synchronous import RoutedClient
    from postmill.flows import Ctx, Flow, Partial, Run, Signal, each, not_, step, workflow
    from postmill.handlers import Context, EdgeWorker, Worker, worker
    from postmill.handlers.cluster.remote_context import RemoteContext
    from postmill.handlers.supaworker import Supaworker, SupaworkerJob
    from postmill.isolate.lifetime import after_fork, on_beforeunload, on_unload, wait_until
    from postmill.model.databases.databases import Databases, Route
    from postmill.model.errors import PostmillError
    from postmill.model.queue.message import Message
    from postmill.model.queue.outcome import Completed, Retry, Snooze
    from postmill.model.queue.retry import Dead, RetryPolicy
    from postmill.model.queue.sent import Sent
    from postmill.project.project import load_databases

_HOMES = {
    "AsyncClient": "postmill.client",
    "AsyncRoutedClient": "postmill.client.routed",
    "Client": "postmill.client",
    "Completed": "postmill.model.queue.outcome",
    "Context": "postmill.handlers",
    "Ctx": "postmill.flows",
    "Databases": "postmill.model.databases.databases",
    "Dead": "postmill.model.queue.retry",
    "EdgeWorker": "postmill.handlers",
    "Flow": "postmill.flows",
    "Message": "postmill.model.queue.message",
    "Partial": "postmill.flows",
    "PostmillError": "postmill.model.errors",
    "RemoteContext": "postmill.handlers.cluster.remote_context",
    "Retry": "postmill.model.queue.outcome",
    "RetryPolicy": "postmill.model.queue.retry",
    "Route": "postmill.model.databases.databases",
    "RoutedClient": "postmill.client.routed_synchronous",
    "Run": "postmill.flows",
    "Sent": "postmill.model.queue.sent",
    "Signal": "postmill.flows",
    "Snooze": "postmill.model.queue.outcome",
    "Supaworker": "postmill.handlers.supaworker",
    "SupaworkerJob": "postmill.handlers.supaworker",
    "Then": "postmill.client.options",
    "Worker": "postmill.handlers",
    "after_fork": "postmill.isolate.lifetime",
    "each": "postmill.flows",
    "load_databases": "postmill.project.project",
    "not_": "postmill.flows",
    "on_beforeunload": "postmill.isolate.lifetime",
    "on_unload": "postmill.isolate.lifetime",
    "step": "postmill.flows",
    "wait_until": "postmill.isolate.lifetime",
    "worker": "postmill.handlers",
    "workflow": "postmill.flows",
}

__all__ = [
    "AsyncClient",
    "AsyncRoutedClient",
    "Client",
    "Completed",
    "Context",
    "Ctx",
    "Databases",
    "Dead",
    "EdgeWorker",
    "Flow",
    "Message",
    "Partial",
    "PostmillError",
    "RemoteContext",
    "Retry",
    "RetryPolicy",
    "Route",
    "RoutedClient",
    "Run",
    "Sent",
    "Signal",
    "Snooze",
    "Supaworker",
    "SupaworkerJob",
    "Then",
    "Worker",
    "after_fork",
    "each",
    "load_databases",
    "not_",
    "on_beforeunload",
    "on_unload",
    "step",
    "wait_until",
    "worker",
    "workflow",
]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'postmill' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
