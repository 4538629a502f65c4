"""Frames: cut right however the bytes arrive; what is no frame is noticed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmill.wire.channel import Framer
from postmill.wire.frames import HEAD, LARGEST, BrokenFrame, Kind

FRAMES = st.lists(
    st.tuples(st.sampled_from([*Kind]), st.integers(0, 2**32 - 1), st.binary(max_size=300)), max_size=8
)


@given(FRAMES, st.lists(st.integers(1, 40), min_size=1, max_size=50))
def test_frames_come_out_as_they_went_in(frames: list[tuple[Kind, int, bytes]], sizes: list[int]) -> None:
    data = b"".join(HEAD.pack(len(payload), kind, stream) + payload for kind, stream, payload in frames)
    framer, found, at = Framer(), [], 0
    while at < len(data):
        size = sizes[at % len(sizes)]
        found += list(framer.feed(data[at : at + size]))
        at += size
    assert found == [(int(kind), stream, payload) for kind, stream, payload in frames]


def test_what_somebody_else_wrote_is_no_frame() -> None:
    with pytest.raises(BrokenFrame):
        list(Framer().feed(b"hello, this is not a frame at all"))


def test_a_frame_of_the_largest_size_is_one() -> None:
    framer = Framer()
    assert list(framer.feed(HEAD.pack(LARGEST, Kind.BODY, 1))) == []
    with pytest.raises(BrokenFrame):
        list(Framer().feed(HEAD.pack(LARGEST + 1, Kind.BODY, 1)))
