"""Carry an outcome that may still be on its way, such as a commit."""

from asyncio import Future
from collections.abc import Callable, Generator
from typing import Generic, TypeVar, cast

T = TypeVar("T")
U = TypeVar("U")


class Pending(Generic[T]):
    """Await or hand on an outcome; a finished one costs no trip through the event loop.

    Args:
        future: The future that brings the outcome.
    """

    __slots__ = ("_future", "_value")

    def __init__(self, future: "Future[T] | None", value: T | None = None) -> None:
        self._future = future
        self._value = value

    @classmethod
    def done(cls, value: T) -> "Pending[T]":
        """Return an outcome that is already there."""
        return cls(None, value)

    @property
    def is_done(self) -> bool:
        """Whether the outcome is there, so that `result` may be called."""
        return self._future is None or self._future.done()

    def result(self) -> T:
        """Return the outcome, or raise what went wrong."""
        return cast("T", self._value) if self._future is None else self._future.result()

    def __await__(self) -> Generator[object, None, T]:
        if self._future is None:
            return cast("T", self._value)
        return (yield from self._future.__await__())

    def then(self, change: Callable[[T], U]) -> "Pending[U]":
        """Return the outcome as changed by a plain function; failures pass through."""
        source = self._future
        if source is None:
            return Pending.done(change(cast("T", self._value)))
        changed: Future[U] = source.get_loop().create_future()

        def settle(finished: "Future[T]") -> None:
            if changed.done():
                return
            if finished.cancelled():
                changed.cancel()
                return
            try:
                changed.set_result(change(finished.result()))
            except Exception as error:
                changed.set_exception(error)
                # Nobody has to ask: whoever wanted to know may be gone.
                changed.exception()

        source.add_done_callback(settle)
        return Pending(changed)

    def when_done(self, call: Callable[[], object]) -> None:
        """Call back once the outcome is there, at once if it is already."""
        if self._future is None:
            call()
        else:
            self._future.add_done_callback(lambda _: call())
