"""What runner and driver say to each other: a JSON task on stdin, a JSON object a line on stdout.

A driver runs in the environment of the system that it drives, so nothing but the standard library (and
uvloop, where it is) may be imported here. ``protocol.mjs`` is the same for Node. Times are seconds of the
machine's monotonic clock, which all its processes share. The roles of a task:

``install``
    makes tables and queue, with a ``feature`` made ready for it; tells ``version``, ``settings`` and
    ``features``
``enqueue``
    sends ``messages`` in bulk, with a ``feature`` in its way; tells ``took_s``
``send``
    sends ``messages`` one by one at ``rate`` a second; tells of each its number, ``sent``, when it asked for
    the commit, ``committing``, and when that was confirmed, ``committed``
``produce``
    sends at ``rate`` a second for ``seconds``; tells what is ``sent`` so far, and in the end ``done``
``work``
    works until it is killed. With ``handler`` ``count`` it does nothing with a message, and tells when it
    had the ``first``, now and then the ``count``, and when ``goal`` was ``reached``; ``stamp`` tells the
    number of each message ``started``; ``hang`` does as well, and never returns

A ``feature`` is one of these, where the system has it in its public interface:

``unique``
    each message has a key, of which only one may wait at a time
``priority``
    messages have ten priorities by turns
``limited``
    messages belong to 100 groups by turns, and one of each group runs at a time
``runs``
    a message starts a run of a flow of ``steps`` steps, each of which needs the one before it
``map``
    a message starts a run of a flow with one step, which maps over a list of ``steps`` items
``chain``
    as ``runs``: one long run

In the last three, flows, the handler is every step, and the items of a map are handled as steps.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
from importlib.metadata import version

TELL_EVERY_S = 0.1
TICK_S = 0.02
PRIORITIES, GROUPS = 10, 100
"""A producer sends so often what has become due since."""


def tell(**line):
    """One line to the runner, in one piece: two threads tell."""
    os.write(1, json.dumps(line).encode() + b"\n")


def payload(number, size):
    """A message of ``size`` bytes of JSON."""
    return {"n": number, "pad": "x" * (size - 15 - len(str(number)))}


def key_of(payload):
    """The key of a message that is to be unique."""
    return f"key {payload['n']}"


def priority_of(payload):
    """0 to 9."""
    return payload["n"] % PRIORITIES


def group_of(payload):
    """The group of a message of which few may run at a time."""
    return f"group {payload['n'] % GROUPS}"


def drive(package, settings, install, sender, work, features=()):
    """Read the task and do it.

    ``sender(url)`` is an asynchronous context manager of a sender with a ``batch`` size, ``many(payloads)``
    and ``one(payload)``, which returns the time just before its commit. ``work(task, handle)`` awaits
    ``handle(number)`` for each message. ``settings`` says in words what is not default. ``features`` are
    those that the system has: with one of them ``install`` gets its name and the ``steps`` of a flow, and the
    sender has both as ``feature`` and ``steps``.
    """
    task = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_the_runner, daemon=True).start()
    roles = {"enqueue": _enqueue, "send": _send, "produce": _produce}

    async def do():
        if task["role"] == "install":
            await install(task["url"], *(task[key] for key in ("feature", "steps") if task.get(key)))
            tell(version=version(package), settings=settings, features=list(features))
        elif task["role"] == "work":
            await work(task, _handler(task))
        else:
            async with sender(task["url"]) as sending:
                sending.feature, sending.steps = task.get("feature"), task.get("steps")
                await roles[task["role"]](sending, task)

    _run(do())


def _end_with_the_runner():
    """However the runner ends, its end of our stdin closes."""
    while os.read(0, 1):
        pass
    os._exit(1)


def _run(main):
    try:
        import uvloop  # noqa: PLC0415 - not every environment has it
    except ImportError:
        asyncio.run(main)
    else:
        uvloop.run(main)


async def _enqueue(sending, task):
    payloads = [payload(number, task["payload_bytes"]) for number in range(task["messages"])]
    began = time.monotonic()
    for begin in range(0, len(payloads), sending.batch):
        await sending.many(payloads[begin : begin + sending.batch])
    tell(took_s=time.monotonic() - began)


async def _send(sending, task):
    for number in range(task["messages"]):
        await asyncio.sleep(1 / task["rate"])
        at = await sending.one(payload(number, task["payload_bytes"]))
        tell(sent=number, committing=at, committed=time.monotonic())


async def _produce(sending, task):
    sent, began = 0, time.monotonic()
    while (now := time.monotonic()) < began + task["seconds"]:
        due = int((now - began) * task["rate"]) - sent
        for begin in range(0, due, sending.batch):
            size = min(sending.batch, due - begin)
            await sending.many([payload(sent + number, task["payload_bytes"]) for number in range(size)])
            sent += size
        tell(sent=sent, at=time.monotonic())
        await asyncio.sleep(TICK_S)
    tell(done=sent)


def _handler(task):
    return {"count": _counting, "stamp": _stamping, "hang": _hanging}[task["handler"]](task.get("goal"))


def _counting(goal):
    count = 0

    async def handle(_number):
        nonlocal count
        count += 1
        if count == 1:
            tell(first=time.monotonic())
        if count == goal:
            tell(reached=time.monotonic())

    def report():
        while True:
            time.sleep(TELL_EVERY_S)
            tell(count=count, at=time.monotonic())

    threading.Thread(target=report, daemon=True).start()
    return handle


def _stamping(_goal):
    async def handle(number):
        tell(started=number, at=time.monotonic())

    return handle


def _hanging(_goal):
    async def handle(number):
        tell(started=number, at=time.monotonic())
        await asyncio.Event().wait()

    return handle
