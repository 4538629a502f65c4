"""Orders reach the zygote in the order in which they were given, with descriptors that work."""

from __future__ import annotations

import asyncio
import os
import socket

import msgspec

from postmill.host.launch.zygote_orders import Orders
from postmill.wire.orders import Order

MANY = 400
SMALL = 8192
"""Bytes of orders that are under way at most."""


async def test_a_full_socket_neither_loses_nor_overtakes_an_order() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL)
    ours.settimeout(0)
    theirs.settimeout(0)
    lost: list[bool] = []
    orders = Orders(ours, lambda: lost.append(True))
    with ours, theirs:
        for number in range(1, MANY, 2):
            reading, writing = os.pipe()
            orders.give(Order(number), [writing])
            orders.give(Order(number + 1, kill=True))
            os.close(reading)
            os.close(writing)
        heard: list[Order] = []
        while len(heard) < MANY:
            try:
                data, descriptors, _, _ = socket.recv_fds(theirs, 65_536, 8)
            except BlockingIOError:
                await asyncio.sleep(0.001)
                continue
            heard.append(msgspec.json.decode(data, type=Order))
            assert len(descriptors) == heard[-1].isolate % 2
            for each in descriptors:
                os.close(each)
    assert [order.isolate for order in heard] == list(range(1, MANY + 1))
    assert lost == []


async def test_what_was_not_sent_leaves_no_descriptor() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL)
    ours.settimeout(0)
    lost: list[bool] = []
    orders = Orders(ours, lambda: lost.append(True))
    reading, writing = os.pipe()
    with ours:
        with theirs:
            for number in range(MANY):
                orders.give(Order(number), [writing])
        os.close(writing)
        orders.close()
    with open(reading, "rb") as end:  # noqa: ASYNC230, PTH123 - a pipe whose writers are gone
        assert end.read() == b""
    assert lost == []


async def test_a_zygote_that_is_gone_is_told_of() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(0)
    theirs.close()
    lost: list[bool] = []
    with ours:
        orders = Orders(ours, lambda: lost.append(True))
        orders.give(Order(1))
        orders.close()
    assert lost == [True]
