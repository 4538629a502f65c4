"""What ``postmill doctor`` asks a Ray cluster: whether it takes a project's workers, and has what they need.

Connects as a worker would, and claims nothing.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from postmill.handlers.cluster.driver import CONNECT_S, driver_for, is_installed
from postmill.model.errors import PostmillError
from postmill.model.finding import Finding
from postmill.service.events import Events

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from postmill.cli.discover import Target
    from postmill.handlers.cluster.driver import Driver


def findings(targets: Sequence[Target]) -> Iterator[Finding]:
    """One for each worker with ``executor="ray"``; none without such a worker."""
    for target in targets:
        if target.resources is not None:
            yield (
                asyncio.run(_examined(target.name, target.resources))
                if is_installed()
                else Finding(
                    "ray",
                    "pass",
                    f"{target.name}: not asked, as Ray is not installed here; it runs elsewhere",
                )
            )


async def _examined(name: str, resources: dict[str, float]) -> Finding:
    try:
        driver = driver_for([resources], _Unlogged())
        await _ask(driver)
    except PostmillError as error:
        return Finding("ray", "fail", f"{name}: {error.what} {error.why}".strip(), error.hint)
    if driver.away is not None:
        return Finding("ray", "fail", f"{name}: {driver.away}", "start the cluster, or correct RAY_ADDRESS")
    if driver.lacking:
        return Finding(
            "ray",
            "warn",
            f"{name}: no machine of the cluster has {driver.lacking}",
            "add a machine that has it, or ask for less in resources=",
        )
    return Finding("ray", "pass", f"{name}: the cluster has what its tasks need")


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
