"""The WebSocket bytes of the load generator: masking, cutting, counting (RFC 6455, section 5.2).

Pure functions and one counter, no sockets. The counter is the hot path: it looks at one read of
many frames with a handful of slices instead of a loop over the frames.
"""

from typing import NamedTuple

TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA

_FIN = 0x80
_MASKED = 0x80
_NEVER = 1 << 62


class Frame(NamedTuple):
    """One whole frame as the server sent it."""

    opcode: int
    payload: bytes


def header(opcode: int, length: int, *, masked: bool = False) -> bytes:
    """Build the bytes before the mask of an unfragmented frame of `length` payload bytes."""
    bit = _MASKED if masked else 0
    if length < 126:
        return bytes((_FIN | opcode, bit | length))
    if length < 1 << 16:
        return bytes((_FIN | opcode, bit | 126)) + length.to_bytes(2, "big")
    return bytes((_FIN | opcode, bit | 127)) + length.to_bytes(8, "big")


def encode(opcode: int, payload: bytes, key: bytes) -> bytes:
    """Build a client's frame, masked with the four bytes of `key` (RFC 6455, section 5.3)."""
    size = len(payload)
    pattern = (key * (size // 4 + 1))[:size]
    masked = int.from_bytes(payload, "big") ^ int.from_bytes(pattern, "big")
    return header(opcode, size, masked=True) + key + masked.to_bytes(size, "big")


def split(data: bytes) -> tuple[list[Frame], bytes]:
    """Cut what a server sent into its whole frames and the rest, the start of the next one.

    Raises:
        ValueError: the bytes are no plain server frames: masked, fragmented or compressed.
    """
    frames: list[Frame] = []
    at, end = 0, len(data)
    while end - at >= 2:
        first, length, start = data[at], data[at + 1], at + 2
        if first & 0xF0 != _FIN or first & 0x0F == 0 or length & _MASKED:
            raise ValueError(f"not a whole, plain server frame: header {data[at : at + 2].hex()}")
        if length > 125:
            start += 2 if length == 126 else 8
            if end < start:
                break
            length = int.from_bytes(data[at + 2 : start], "big")
        if end < start + length:
            break
        frames.append(Frame(first & 0x0F, data[start : start + length]))
        at = start + length
    return frames, data[at:]


class Counter:
    """Counts the deliveries in one connection's stream, exactly, whatever the reads cut apart.

    A delivery is a text frame that contains the marker. Their size hardly ever changes, so a read
    is first taken to be frames of the size of the last delivery: if each header stands where that
    size puts it, then the frames do too, and nothing else is looked at. Any other read is cut
    frame by frame. A frame of the size of a delivery that is none would be counted; the load
    compares the sum with what was sent.

    Args:
        marker: bytes found in the payload of deliveries only.
    """

    __slots__ = ("_header", "_marker", "_size", "_tail", "others")

    def __init__(self, marker: bytes) -> None:
        self.others: list[Frame] = []
        """Frames that are no deliveries, in order; emptied by whoever answers them."""
        self._marker = marker
        self._size = _NEVER
        self._header: tuple[tuple[int, bytes], ...] = ()
        self._tail = b""

    def count(self, data: bytes) -> int:
        """Return how many deliveries were completed by `data`, the next bytes of the stream.

        Raises:
            ValueError: as `split`.
        """
        if self._tail:
            data = self._tail + data
        size = self._size
        whole, rest = divmod(len(data), size)
        if not whole:
            return self._walk(data)
        end = len(data) - rest
        for at, byte in self._header:
            if data[at:end:size] != byte * whole:
                return self._walk(data)
        # What is left may hold whole frames, if they are smaller than a delivery.
        self._tail = b""
        return whole + self._walk(data[end:]) if rest else whole

    def _walk(self, data: bytes) -> int:
        frames, self._tail = split(data)
        found = 0
        for frame in frames:
            if frame.opcode == TEXT and self._marker in frame.payload:
                found += 1
                self._learn(len(frame.payload))
            else:
                self.others.append(frame)
        return found

    def _learn(self, length: int) -> None:
        head = header(TEXT, length)
        if len(head) + length != self._size:
            self._size = len(head) + length
            self._header = tuple((at, bytes((byte,))) for at, byte in enumerate(head))
