"""What a user writes: the ``@worker`` decorator, tasks, the context a handler is given, the EdgeWorker
facade.
"""

from __future__ import annotations

from postmill.handlers.context import Context, Transaction
from postmill.handlers.decorator import Task, Worker, worker
from postmill.handlers.edge_worker import EdgeWorker
from postmill.handlers.loading import load, load_all

__all__ = ["Context", "EdgeWorker", "Task", "Transaction", "Worker", "load", "load_all", "worker"]
