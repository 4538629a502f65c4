"""A plain function, without a request."""


def handler():
    return "hello"
