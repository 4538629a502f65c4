"""Raises what no future can hold."""


def handler():
    return {"first": next(iter([]))}
