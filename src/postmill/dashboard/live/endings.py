"""Ends the streams when the process is told to stop, before its server waits for running requests.

A server that waits first would wait for streams that never end. A mounted application does not hear of the
end of its server, so it listens to the signals, and passes them on to the handlers before it.
"""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Endings:
    """``listen`` from the main thread, in which handlers of signals run; elsewhere it does nothing, and the
    application must be closed by the code that made it.
    """

    def __init__(self, end: Callable[[], None]) -> None:
        """``end`` is called from a handler of signals: it must only pass the word on."""
        self._end = end
        self._before: dict[int, Any] = {}

    def listen(self) -> None:
        """From now on. May be called twice."""
        if self._before or threading.current_thread() is not threading.main_thread():
            return
        self._before = {number: signal.getsignal(number) for number in SIGNALS}
        for number in SIGNALS:
            signal.signal(number, self._hear)

    def forget(self) -> None:
        """Give the signals back, unless other code has taken them since."""
        for number, before in self._before.items():
            if signal.getsignal(number) == self._hear and before is not None:
                signal.signal(number, before)
        self._before = {}

    def _hear(self, number: int, frame: FrameType | None) -> None:
        before = self._before.get(number)
        self._end()
        if callable(before):
            before(number, frame)
        elif before == signal.SIG_DFL:
            self.forget()
            signal.raise_signal(number)
