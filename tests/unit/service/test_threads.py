"""Threads for plain functions."""

from __future__ import annotations

import threading
from concurrent.futures import wait

import pytest

from postmill.service.threads import Threads


def test_no_more_threads_than_allowed_and_idle_ones_are_used_again() -> None:
    threads = Threads(2, "test")
    names: set[str] = set()
    both = threading.Barrier(2)

    def work() -> None:
        both.wait(20)
        names.add(threading.current_thread().name)

    for _ in range(5):
        wait([threads.submit(work), threads.submit(work)], timeout=20)
    assert names == {"test 1", "test 2"}
    threads.close()


def test_one_thread_is_enough_for_one_call_at_a_time() -> None:
    threads = Threads(10, "test")
    names = set()
    for _ in range(20):
        names.add(threads.submit(lambda: threading.current_thread().name).result(20))
    assert len(names) <= 2  # a thread says that it is idle a moment after its result
    threads.close()


def test_they_do_not_keep_the_process() -> None:
    threads = Threads(1, "test")
    assert threads.submit(lambda: threading.current_thread().daemon).result(20) is True
    threads.close()


@pytest.mark.parametrize("error", [ValueError("v"), SystemExit(1), KeyboardInterrupt()])
def test_errors_arrive(error: BaseException) -> None:
    def fail() -> None:
        raise error

    threads = Threads(1, "test")
    assert threads.submit(fail).exception(20) is error
    threads.close()


def test_stop_iteration_arrives_as_something_that_a_future_can_carry() -> None:
    threads = Threads(1, "test")
    error = threads.submit(lambda: next(iter(()))).exception(20)
    assert isinstance(error, RuntimeError)
    assert isinstance(error.__cause__, StopIteration)
    threads.close()


def test_a_call_cancelled_before_its_turn_never_runs() -> None:
    threads = Threads(1, "test")
    release, ran = threading.Event(), threading.Event()
    first = threads.submit(lambda: release.wait(20))
    second = threads.submit(ran.set)
    assert second.cancel()
    release.set()
    assert first.result(20)
    threads.submit(lambda: None).result(20)
    assert not ran.is_set()
    threads.close()


def test_closed_threads_end() -> None:
    threads = Threads(3, "closing")
    wait([threads.submit(lambda: None) for _ in range(3)], timeout=20)
    mine = [thread for thread in threading.enumerate() if thread.name.startswith("closing")]
    threads.close()
    for thread in mine:
        thread.join(20)
        assert not thread.is_alive()
