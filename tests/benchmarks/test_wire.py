import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.wire import CLOSE, PING, PONG, TEXT, Counter, Frame, encode, header, split

MARKER = b"xxxx"
EVENT = b'{"text":"' + MARKER * 25 + b'"}'


def frame(payload: bytes, opcode: int = TEXT) -> bytes:
    return header(opcode, len(payload)) + payload


def unmask(data: bytes, key: bytes) -> bytes:
    return bytes(byte ^ key[index % 4] for index, byte in enumerate(data))


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (0, "8100"),
        (125, "817d"),
        (126, "817e007e"),
        (65535, "817effff"),
        (65536, "817f0000000000010000"),
    ],
)
def test_lengths_use_the_shortest_header(length: int, expected: str) -> None:
    assert header(TEXT, length).hex() == expected


def test_a_client_frame_is_the_example_of_the_rfc() -> None:
    # RFC 6455, section 5.7: a single-frame masked text message "Hello".
    assert encode(TEXT, b"Hello", bytes.fromhex("37fa213d")).hex() == "818537fa213d7f9f4d5158"


@pytest.mark.parametrize("size", [0, 1, 3, 4, 125, 126, 70_000])
def test_masking_can_be_undone(size: int) -> None:
    payload, key = random.Random(size).randbytes(size), b"\x01\x00\xfe\x80"
    sent = encode(TEXT, payload, key)
    head = header(TEXT, size, masked=True) + key
    assert sent.startswith(head)
    assert unmask(sent[len(head) :], key) == payload


def test_split_returns_whole_frames_and_the_start_of_the_next() -> None:
    sent = frame(b"a") + frame(b"b" * 300) + frame(b"", PING) + frame(b"c" * 70_000)
    frames, rest = split(sent + b"\x81")
    assert frames == [
        Frame(TEXT, b"a"),
        Frame(TEXT, b"b" * 300),
        Frame(PING, b""),
        Frame(TEXT, b"c" * 70_000),
    ]
    assert rest == b"\x81"


@pytest.mark.parametrize(
    "data",
    [encode(TEXT, b"masked", b"key!"), b"\x01\x01a", b"\x80\x01a", b"\xc1\x01a"],
    ids=["masked", "first fragment", "last fragment", "compressed"],
)
def test_what_no_plain_server_sends_is_an_error(data: bytes) -> None:
    with pytest.raises(ValueError, match="plain server frame"):
        split(data)


def test_many_deliveries_in_one_read_are_counted() -> None:
    counter = Counter(MARKER)
    assert counter.count(frame(EVENT)) == 1
    assert counter.count(frame(EVENT) * 16) == 16
    assert counter.count(frame(EVENT) * 3 + frame(EVENT)[:50]) == 3
    assert counter.count(frame(EVENT)[50:] + frame(EVENT)) == 2
    assert counter.count(frame(EVENT) * 4) == 4
    assert counter.others == []


def test_a_delivery_of_another_size_is_counted_as_well() -> None:
    counter = Counter(MARKER)
    longer, short = EVENT.replace(b"}", b', "more": 1}'), b'{"text":"' + MARKER + b'"}'
    sent = [EVENT, EVENT, longer, EVENT, short, short, longer]
    assert counter.count(b"".join(map(frame, sent))) == len(sent)
    assert counter.count(frame(longer) * 5 + frame(short)) == 6


def test_other_frames_are_handed_out_in_order() -> None:
    counter = Counter(MARKER)
    counter.count(frame(EVENT))
    sent = frame(EVENT) * 4 + frame(b"are you there", PING) + frame(EVENT) * 2 + frame(b"2")
    assert counter.count(sent) == 6
    assert counter.others == [Frame(PING, b"are you there"), Frame(TEXT, b"2")]


def test_a_control_frame_with_the_marker_is_no_delivery() -> None:
    counter = Counter(MARKER)
    assert counter.count(frame(MARKER, PONG) + frame(MARKER, CLOSE)) == 0
    assert [other.opcode for other in counter.others] == [PONG, CLOSE]


def test_payload_bytes_that_look_like_headers_do_not_mislead() -> None:
    counter = Counter(MARKER)
    nested = frame(EVENT) + MARKER
    counter.count(frame(nested))
    assert counter.count(frame(nested) * 7) == 7


KINDS = st.sampled_from(
    [
        frame(EVENT),
        frame(EVENT),
        frame(EVENT),
        frame(EVENT + b" "),
        frame(MARKER),
        frame(MARKER * 100),
        frame(b"other"),
        frame(b"", PING),
    ]
)


@given(st.lists(KINDS, max_size=60), st.lists(st.integers(1, 700), min_size=1, max_size=40))
def test_the_count_does_not_depend_on_how_reads_cut_the_stream(
    frames: list[bytes], cuts: list[int]
) -> None:
    stream, counter, found, at = b"".join(frames), Counter(MARKER), 0, 0
    for turn in range(len(stream)):
        if at >= len(stream):
            break
        step = cuts[turn % len(cuts)]
        found += counter.count(stream[at : at + step])
        at += step
    assert found == sum(MARKER in one for one in frames)
    assert len(counter.others) == sum(MARKER not in one for one in frames)
