"""Each rule has one home: what only that file should know stands in no other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import postmill

SOURCE = Path(postmill.__file__).parent
FILES = {
    path.relative_to(SOURCE).as_posix(): path.read_text(encoding="utf-8") for path in SOURCE.rglob("*.py")
}
TERMINAL = {"cli/terminal/log_lines.py", "cli/terminal/log_file.py"}
"""They show what the logger is given."""
CHILD = {"isolate/child.py", "isolate/isolate.py", "isolate/output.py", "isolate/threads.py"}
"""A function's own process has a log, and nobody who counts its events."""
READERS = {"engine/worker.py", "db/tools/pgmq.py", "bench/arena.py"}
"""Each reads the row on a connection of its own kind; ``QueueShape.of`` knows what it means."""

RULES = [
    ("did you mean", r"get_close_matches\(", {"model/option_rules.py"}),
    ("a value out of range", r"is out of range", {"model/option_rules.py"}),
    ("an unknown name in postmill.toml", r"has an unknown name", {"model/config/project_file.py"}),
    (
        "what an SQLSTATE means",
        r"[\"'](?:(?!\d+MB)[0-9][0-9A-Z]{4}|PM[0-9]{3}|XX000)[\"']",
        {"model/sqlstates.py"},
    ),
    ("where an error keeps its SQLSTATE", r"[\"'](?:sqlstate|pgcode)[\"']", {"model/sqlstates.py"}),
    ("a variable's name", r"A-Za-z_\]", {"model/option_rules.py"}),
    ("a traceback as text", r"format_exception\(", {"model/error_text.py"}),
    ("a missing queue", r"There is no queue", {"model/database_errors.py"}),
    ("the oldest server", r"OLDEST_SERVER = ", {"db/tools/migrate.py"}),
    (
        "opening a connection",
        r"(?:asyncpg|psycopg)\.(?:Connection|AsyncConnection)?(?:\[.*\])?\.?(?:connect|create_pool)\(",
        {"client/asyncpg_connection.py", "client/psycopg_connection.py"},
    ),
    ("prepared statements", r"statement_cache_size", {"client/asyncpg_connection.py"}),
    (
        "finding a pooler",
        r"pg_backend_pid|get_server_pid|backend_pid",
        {"client/asyncpg_connection.py", "client/psycopg_connection.py"},
    ),
    ("a queue's shape from the catalogue", r"QueueShape\.of\(", READERS),
    ("a batch handler's result", r"a batch handler returns None or", {"model/queue/outcome.py"}),
    ("emitting an event", r"getLogger\(\"postmill\"\)", {"service/events.py", *TERMINAL, *CHILD}),
]


@pytest.mark.parametrize(("rule", "pattern", "homes"), RULES, ids=[rule for rule, _, _ in RULES])
def test_a_rule_has_one_home(rule: str, pattern: str, homes: set[str]) -> None:
    found = {name for name, text in FILES.items() if re.search(pattern, text)}
    assert found == homes, f"{rule}: it has another home, or has moved"
