"""What a benchmark found, and the one shape it is printed in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One benchmark's result beside its reference, both measured in the same run."""

    bench: str
    unit: str
    value: float
    reference_name: str
    reference: float
    settings: Mapping[str, object]
    environment: Mapping[str, object]
    figures: Mapping[str, float | None] = field(default_factory=dict)
    """What else was measured, by name with its unit: ``p50_ms`` and so on; None: see ``not_measured``."""
    not_measured: Mapping[str, str] = field(default_factory=dict)
    """Why a figure could not be measured here, by its name."""
    paired: float | None = None
    """The ratio of a benchmark that measures it in pairs; None: it is ``value`` over ``reference``."""

    @property
    def ratio(self) -> float | None:
        """``value`` over ``reference``: higher is better for a rate, lower for a latency. None when the
        reference is nothing: a short run may have completed no message in its first part.
        """
        if self.paired is not None:
            return self.paired
        return self.value / self.reference if self.reference else None

    def as_dict(self) -> dict[str, Any]:
        """The JSON object."""
        return {
            "bench": self.bench,
            "value": _rounded(self.value),
            "unit": self.unit,
            **{name: None if value is None else _rounded(value) for name, value in self.figures.items()},
            **({"not_measured": dict(self.not_measured)} if self.not_measured else {}),
            "reference": {"name": self.reference_name, "value": _rounded(self.reference)},
            "ratio": None if self.ratio is None else round(self.ratio, 3),
            "settings": dict(self.settings),
            "environment": dict(self.environment),
        }

    def rows(self) -> list[dict[str, str]]:
        """The table for people."""
        numbers = [
            (self.bench, f"{_rounded(self.value):,} {self.unit}"),
            *((name, self._told(name, value)) for name, value in self.figures.items()),
            (self.reference_name, f"{_rounded(self.reference):,} {self.unit}"),
            ("ratio", "-" if self.ratio is None else f"{self.ratio:.2f}"),
        ]
        return [{"measure": name, "result": number} for name, number in numbers]

    def _told(self, name: str, value: float | None) -> str:
        return f"not measured: {self.not_measured[name]}" if value is None else f"{_rounded(value):,}"


def _rounded(value: float) -> float:
    """A rate to the message, a latency to the microsecond."""
    return round(value) if value >= 1000 else round(value, 3)
