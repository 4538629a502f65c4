"""Stands for a language model: rules that read the conversation, and say what to do next."""

from __future__ import annotations

import re
from dataclasses import dataclass

CITY = re.compile(r"\b(lisbon|oslo|rome)\b", re.IGNORECASE)
COUNT = re.compile(r"^person: .*?(\d+)", re.MULTILINE)
COST = re.compile(r"(?:fare is|nights cost) (\d+)")


@dataclass
class Turn:
    """What the model wants: ``ask`` the person, ``answer``, or use a tool of that name."""

    does: str
    says: str
    argument: str = ""


async def think(history: list[str]) -> Turn:
    """The next turn, from all that was said so far."""
    talk = "\n".join(history)
    city, count, costs = CITY.search(talk), COUNT.search(talk), COST.findall(talk)
    if city is None:
        return Turn("ask", "Where to: Lisbon, Oslo or Rome?")
    if not costs:
        return Turn("fare", f"I look up the fare to {city[1].title()}.", city[1].lower())
    if count is None:
        return Turn("ask", "How many nights?")
    if len(costs) == 1:
        return Turn("nights", f"I add up {count[1]} nights.", count[1])
    return Turn("answer", f"{count[1]} nights in {city[1].title()} cost {sum(map(int, costs))}.")
