"""Frames are read back with another implementation's decoder."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from websockets.frames import EXTERNAL_CLOSE_CODES, Close, Opcode

from chatserver.frames import close_answer, close_frame, ping_frame, pong_frame, text_frame

from .sinks import decode

BOUNDS = [0, 1, 125, 126, 127, 65535, 65536, 65537]


@pytest.mark.parametrize("size", BOUNDS)
def test_a_text_frame_of_any_size_is_one_whole_unmasked_frame(size: int) -> None:
    (frame,) = decode(text_frame(b"x" * size))
    assert (frame.opcode, frame.fin) == (Opcode.TEXT, True)
    assert (frame.rsv1, frame.rsv2, frame.rsv3) == (False, False, False)
    assert bytes(frame.data) == b"x" * size


@pytest.mark.parametrize("size", BOUNDS)
def test_a_text_frame_has_the_shortest_header(size: int) -> None:
    header = 2 if size < 126 else 4 if size < 65536 else 10
    assert len(text_frame(b"x" * size)) == header + size


@given(st.lists(st.text(max_size=300), max_size=5))
def test_joined_frames_are_read_one_by_one(texts: list[str]) -> None:
    joined = b"".join(text_frame(text.encode()) for text in texts)
    assert [bytes(frame.data).decode() for frame in decode(joined)] == texts


@given(st.binary(max_size=125))
def test_a_pong_carries_the_ping_s_payload(payload: bytes) -> None:
    (frame,) = decode(pong_frame(payload))
    assert (frame.opcode, bytes(frame.data)) == (Opcode.PONG, payload)


def test_a_ping_is_an_empty_control_frame() -> None:
    (frame,) = decode(ping_frame(b""))
    assert (frame.opcode, bytes(frame.data)) == (Opcode.PING, b"")
    (frame,) = decode(ping_frame(b"mark"))
    assert (frame.opcode, bytes(frame.data)) == (Opcode.PING, b"mark")


LONG_REASONS = [char * size for char in "xä花😀" for size in range(30, 126)]


@given(
    st.sampled_from([1000, 3001, 3503, 4999]),
    st.text(max_size=200) | st.sampled_from(LONG_REASONS),
)
@example(1000, "x" * 123)
@example(1000, "x" * 124)
@example(1000, "x" + "ä" * 61)
@example(1000, "ä" * 62)
@example(1000, "xx" + "花" * 41)
@example(1000, "😀" * 31)
def test_a_close_frame_cuts_the_reason_at_the_last_character_that_fits(
    code: int, reason: str
) -> None:
    (frame,) = decode(close_frame(code, reason))
    assert frame.opcode is Opcode.CLOSE
    close = Close.parse(bytes(frame.data))
    assert close.code == code
    assert reason.startswith(close.reason)
    if close.reason != reason:
        one_more = reason[: len(close.reason) + 1]
        assert len(close.reason.encode()) <= 123 < len(one_more.encode())


def test_a_close_frame_needs_no_reason() -> None:
    (frame,) = decode(close_frame(1000))
    assert Close.parse(bytes(frame.data)) == Close(1000, "")


def test_only_codes_that_may_travel_are_echoed() -> None:
    for code in range(5001):
        may_travel = code in EXTERNAL_CLOSE_CODES or 3000 <= code < 5000
        assert close_answer(code) == (code if may_travel else 1002), code
