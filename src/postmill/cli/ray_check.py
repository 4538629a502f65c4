"""What ``postmill doctor`` asks a Ray cluster: whether it takes a project's workers, and has what they need.

Connects as a worker would, and claims nothing.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from postmill.handlers.cluster.driver import CONNECT_S, driver_for, is_installed
from postmill.model.errors import PostmillError
from postmill.model.finding import Finding
from postmill.service.events import Events

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from postmill.handlers.cluster.driver import Driver

_NOT_ASKED = Finding("ray", "pass", "not asked, as Ray is not installed here; it runs elsewhere")


def findings(needs: Sequence[tuple[str, dict[str, float]]]) -> Iterator[Finding]:
    """One for each of those that run there, by name and what its tasks need. The cluster is asked once for
    the same needs.
    """
    known: dict[str, Finding] = {}
    for name, resources in needs:
        key = str(sorted(resources.items()))
        if key not in known:
            known[key] = asyncio.run(_examined(resources)) if is_installed() else _NOT_ASKED
        yield replace(known[key], found=f"{name}: {known[key].found}")


async def _examined(resources: dict[str, float]) -> Finding:
    try:
        driver = driver_for([resources], _Unlogged())
        await _ask(driver)
    except PostmillError as error:
        return Finding("ray", "fail", f"{error.what} {error.why}".strip(), error.hint)
    if driver.away is not None:
        return Finding("ray", "fail", driver.away, "start the cluster, or correct RAY_ADDRESS")
    if driver.lacking:
        return Finding(
            "ray",
            "warn",
            f"no machine of the cluster has {driver.lacking}",
            "add a machine that has it, or ask for less in resources=",
        )
    return Finding("ray", "pass", "the cluster has what its tasks need")


async def _ask(driver: Driver) -> None:
    driver.start()
    try:
        async with asyncio.timeout(CONNECT_S):
            await driver.answered()
    except TimeoutError:
        pass  # it is away, and says so
    finally:
        await driver.stop()


class _Unlogged(Events):
    """What is found is said once, as a finding."""

    def write(self, *_: object) -> None:
        """Nothing."""
