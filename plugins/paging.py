"""Cut lists so that an answer stays below the largest frame."""

from typing import Final

OVERHEAD: Final = 64
"""Bytes set aside for each entry's keys and punctuation, and once for the envelope."""


class Page:
    """Count what fits into one answer.

    Args:
        most: Bytes a frame may have.
    """

    def __init__(self, most: int) -> None:
        self._left = most - 1024

    def takes(self, *texts: str, size: int = 0) -> bool:
        """Return whether another entry with these texts fits, and count it.

        A character costs six bytes at most: as an escape, or as UTF-8.

        Args:
            texts: What is still to be encoded.
            size: Bytes of what is encoded already.
        """
        self._left -= OVERHEAD + 6 * sum(map(len, texts)) + size
        return self._left >= 0
