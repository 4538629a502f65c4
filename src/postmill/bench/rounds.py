"""Raw limit and product take turns on one machine, so that its noise falls on both; medians are compared."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Measurement = Callable[[], Awaitable[float]]


async def alternate(
    rounds: int, raw: Measurement, ours: Measurement, say: Callable[[str], None]
) -> tuple[float, float]:
    """The medians of ``raw`` and of the product (``ours``), both in messages per second, each measured
    ``rounds`` times.
    """
    raw_rates, our_rates = [], []
    for number in range(1, rounds + 1):
        raw_rates.append(await raw())
        our_rates.append(await ours())
        say(f"round {number} of {rounds}: raw {raw_rates[-1]:,.0f}/s, postmill {our_rates[-1]:,.0f}/s")
    return median(raw_rates), median(our_rates)
