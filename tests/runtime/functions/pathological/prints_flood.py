"""Prints a hundred megabytes."""

LINE = "x" * 999


def handler():
    for _ in range(100_000):
        print(LINE)
    return "printed"
