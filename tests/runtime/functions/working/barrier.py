"""Answers once so many requests are in it at the same moment."""

import threading

TOGETHER = threading.Barrier(50)


def handler():
    TOGETHER.wait(50)
    return "together"
