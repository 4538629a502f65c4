"""Doing the steps of a run in this process while it is watched: one command shows a flow from its start to
its end, whether another worker runs or not.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from postmill.cli.watching import print_result, watch

if TYPE_CHECKING:
    from postmill.cli.session import Session


def work_and_watch(session: Session, target: str, run_id: int) -> None:
    """Work on the flow ``target`` until its run ``run_id`` has ended or Ctrl-C, show the run meanwhile, and
    print its result at the end. Raises what :func:`watch` raises.
    """
    from postmill import app
    from postmill.cli.terminal import log_lines

    log_lines.configure("warning", session.settings.log_format)
    watcher = _Watcher(session, run_id)
    app.run_workers(
        session.settings, [target], embedded=True, on_database=lambda _settings, _where: watcher.start()
    )
    watcher.tell()


class _Watcher(threading.Thread):
    """Watches beside the workers, which need the main thread for signals, and ends them."""

    def __init__(self, session: Session, run_id: int) -> None:
        super().__init__(name="postmill watch", daemon=True)
        self._session = session
        self._run_id = run_id
        self._error: BaseException | None = None

    def run(self) -> None:
        from postmill.handlers.standalone import stop_here

        try:
            with self._session.database() as connection:
                watch(self._session, connection, self._run_id, says_why=False)  # the worker is just starting
                print_result(self._session, connection, self._run_id)
        except BaseException as error:  # it is raised where the command ends
            self._error = error
        finally:
            stop_here()

    def tell(self) -> None:
        """Raise what ended the watching; nothing while it watches still."""
        if self._error is not None:
            raise self._error
