"""Hides the passwords in this process's command line from other users' ``ps``.

Linux lets a process overwrite its arguments in place. Elsewhere they stay; the docs advise the environment.
Never fails: a password that can't be hidden must not stop the command.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

_PASSWORD = re.compile(rb"(?i)postgres(?:ql)?(?:\+\w+)?://[^\0:/@]*:([^\0]*)@")
_ARGUMENTS_START = 47
"""Index of ``arg_start`` among the fields of /proc/self/stat, counted from 0: field 48 in proc_pid_stat(5).
"""


def hide_passwords() -> None:
    """Overwrites with ``*`` what stands between the user and the @ of every address among the arguments."""
    if not any("://" in argument for argument in sys.argv):
        return
    try:
        shown = Path("/proc/self/cmdline").read_bytes()
        # The second field is the program's name in parentheses, which may itself hold spaces.
        fields = (
            Path("/proc/self/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        )
        start = int(fields[_ARGUMENTS_START - 2])
        with Path("/proc/self/mem").open("r+b", buffering=0) as memory:
            for found in _PASSWORD.finditer(shown):
                memory.seek(start + found.start(1))
                memory.write(b"*" * len(found[1]))
    except (OSError, ValueError, IndexError):
        return
