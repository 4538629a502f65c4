"""Which trace a message belongs to: by the header as W3C Trace Context has it, or by none."""

from __future__ import annotations

import pytest

from postmill.model.queue.trace import trace_id

ID, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.mark.parametrize("text", [f"00-{ID}-{SPAN}-01", f"cc-{ID}-{SPAN}-00", f"cc-{ID}-{SPAN}-01-what-else"])
def test_a_trace_is_read(text: str) -> None:
    """Of a later version too, which may have more parts."""
    assert trace_id({"traceparent": text}) == ID


@pytest.mark.parametrize(
    "value",
    [
        f"ff-{ID}-{SPAN}-01",
        f"00-{ID}-{SPAN}-01-more",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{ID}-{'0' * 16}-01",
        f"00-{ID.upper()}-{SPAN}-01",
        f"00-{ID}-{SPAN}",
        "",
        7,
        None,
    ],
)
def test_what_is_no_trace_is_none(value: object) -> None:
    assert trace_id({"traceparent": value}) is None


def test_without_headers_there_is_none() -> None:
    assert trace_id(None) is trace_id({}) is None
