"""The rules of the page about alerts: every metric and label in them exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RULES = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/howto/alert-from-metrics.md").read_text(), re.DOTALL)[
    0
]
SOURCE = "\n".join(path.read_text() for path in sorted((ROOT / "src/postmill/metrics").glob("*.py")))
OUTCOMES = {"completed", "retrying", "snoozed", "dead", "cancelled", "released", "lost"}


def exported() -> set[str]:
    """The names that are scraped: a counter's ends in ``_total``, a histogram has several."""
    named = set(re.findall(r'"(postmill_\w+)"', SOURCE))
    counters = set(re.findall(r'CounterMetricFamily\(\s*"(postmill_\w+)"', SOURCE))
    histograms = set(re.findall(r'HistogramMetricFamily\(\s*"(postmill_\w+)"', SOURCE))
    buckets = {f"{name}_{part}" for name in histograms for part in ("bucket", "count", "sum")}
    return (named - counters - histograms) | {f"{name}_total" for name in counters} | buckets


def expressions() -> list[str]:
    """The expression of each rule."""
    found = re.findall(r"expr: (?:\|\n)?(.*?)\n +(?:for|labels):", RULES, re.DOTALL)
    assert len(found) == RULES.count("- alert:")
    return found


@pytest.mark.parametrize("expression", expressions())
def test_a_rule_asks_for_metrics_that_there_are(expression: str) -> None:
    names = set(re.findall(r"postmill_\w+", expression))
    assert names
    assert names <= exported()
    for values in re.findall(r'outcome=~?"([^"]+)"', expression):
        assert set(values.split("|")) <= OUTCOMES


def test_each_of_them_is_in_the_reference_too() -> None:
    reference = (ROOT / "docs/reference/metrics.md").read_text()
    for name in re.findall(r"postmill_\w+", RULES):
        assert f"`{name.removesuffix('_bucket')}`" in reference


def test_a_name_that_there_is_not_would_be_found() -> None:
    assert "postmill_messages_settled" not in exported()
    assert "postmill_queue_length" not in exported()
