"""Flows and workflows in a test: run in memory, with stand-ins for steps and a clock that jumps."""

from __future__ import annotations

from postmill.testing.simulated import Simulated, SimulatedStep
from postmill.testing.simulation import simulate
from postmill.testing.world import later

__all__ = ["Simulated", "SimulatedStep", "later", "simulate"]
