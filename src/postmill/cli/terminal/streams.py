"""The standard streams of a command. A broken stream loses only its own output.

Standard output carries data: when it can't be written, the command ends with an error. Standard error carries
remarks: what can't be written is dropped, and a reader that does not read delays the command for a second at
most. A stream that was closed is ``/dev/null``, for else the next file or socket that is opened would get its
number.
"""

from __future__ import annotations

import io
import os
import select
import sys
from typing import TYPE_CHECKING

from postmill.model.errors import PostmillError

if TYPE_CHECKING:
    from typing import TextIO

    from _typeshed import ReadableBuffer

STALL_S = 1.0
"""How long a remark waits for a reader that does not read, in seconds. 1 s: a busy terminal takes
milliseconds, so a reader that is slower has stopped reading.
"""
_INPUT, _OUTPUT, _ERROR = 0, 1, 2
_PIECE = 4096
"""Bytes in one write. 4,096 is PIPE_BUF on Linux: a pipe that is ready to be written to takes that much
without blocking (see pipe(7)).
"""
_closed: set[int] = set()


class OutputFailed(PostmillError):
    """What was to be shown could not be written."""


class OutputGone(Exception):
    """The reader of standard output has gone (head, less): the command ends, and that is no error."""


def secure() -> None:
    """Make the standard streams safe. Once, first of all, in a process that is a command."""
    for descriptor in (_INPUT, _OUTPUT, _ERROR):
        _open_if_closed(descriptor)
    if sys.stdin is None:
        sys.stdin = open(_INPUT, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = _text(_Data(_OUTPUT), sys.stdout)
    sys.stderr = _text(_Remarks(_ERROR), sys.stderr)


def keep_running() -> None:
    """Treat standard output as remarks: a command that keeps running must not end because its output is not
    read.
    """
    match sys.stdout:
        case io.TextIOWrapper(buffer=io.BufferedWriter(raw=_Data())):
            sys.stdout.flush()
            sys.stdout = _text(_Remarks(_OUTPUT), sys.stdout)


def print_at_once() -> None:
    """Hold back no line that user code prints: a crash loses what is held."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)


def was_input_closed() -> bool:
    """Whether the command was started without a standard input (``<&-``)."""
    return _INPUT in _closed


def check_reader() -> None:
    """Raises :class:`OutputGone` when standard output has no reader any more: a pipe without a reader, a
    terminal that was closed. For commands that may have nothing to write for a long time.
    """
    try:
        descriptor = sys.stdout.fileno()
    except (OSError, ValueError):
        return  # a test's or a library's own stream
    if _has_no_reader(descriptor):
        raise OutputGone


def _has_no_reader(descriptor: int) -> bool:
    """A file always has one: it is never hung up."""
    poll = select.poll()
    poll.register(descriptor, 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


class _Stream(io.RawIOBase):
    """A descriptor that is written to and never closed."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def writable(self) -> bool:
        return True

    def _is_ready(self, timeout_s: float | None) -> bool:
        poll = select.poll()
        poll.register(self._descriptor, select.POLLOUT)
        return bool(poll.poll(None if timeout_s is None else timeout_s * 1000))


class _Data(_Stream):
    """Write all of the data. If that fails, the command ends, and the rest is dropped, because Python flushes
    once more at its end.
    """

    _failed = False

    def write(self, data: ReadableBuffer, /) -> int:
        left = memoryview(data).cast("B")
        size = len(left)
        while left and not self._failed:
            left = left[self._written(left) :]
        return size

    def _written(self, left: memoryview) -> int:
        try:
            return os.write(self._descriptor, left)
        except BlockingIOError:  # a program that shares the pipe has made it so
            self._is_ready(None)
            return 0
        except OSError as error:
            self._failed = True
            if _has_no_reader(self._descriptor):  # EPIPE of a pipe, EIO of a terminal
                raise OutputGone from None
            raise OutputFailed("The output can't be written.", why=f"{error.strerror}.") from error


class _Remarks(_Stream):
    """Write as much as is possible within ``STALL_S``; drop the rest."""

    _stalled = False

    def write(self, data: ReadableBuffer, /) -> int:
        whole = memoryview(data).cast("B")
        left = whole
        while left:
            self._stalled = not self._is_ready(0 if self._stalled else STALL_S)
            if self._stalled:
                break
            try:
                left = left[os.write(self._descriptor, left[:_PIECE]) :]
            except OSError:
                break
        return len(whole)


def _open_if_closed(descriptor: int) -> None:
    try:
        os.fstat(descriptor)
    except OSError:
        _closed.add(descriptor)
        opened = os.open(os.devnull, os.O_RDWR)
        if opened != descriptor:
            os.dup2(opened, descriptor)
            os.close(opened)
        os.set_inheritable(descriptor, True)  # noqa: FBT003


def _text(stream: _Stream, before: TextIO | None) -> TextIO:
    """Characters that the terminal's encoding does not have are shown escaped."""
    return io.TextIOWrapper(
        io.BufferedWriter(stream),
        encoding=before.encoding if before is not None else "utf-8",
        errors="backslashreplace",
        line_buffering=True,
        write_through=isinstance(stream, _Remarks),
    )
