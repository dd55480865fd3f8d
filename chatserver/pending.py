"""Carry an outcome that may still be on its way, such as a commit."""

from asyncio import Future
from collections.abc import Callable, Generator
from typing import Generic, TypeVar

T = TypeVar("T")
U = TypeVar("U")


class Pending(Generic[T]):
    """Await or hand on an outcome; a finished one costs no trip through the event loop.

    Args:
        source: The future that brings the outcome.
    """

    __slots__ = ("_source",)

    def __init__(self, source: "Future[T] | _Done[T]") -> None:
        self._source = source

    @classmethod
    def done(cls, value: T) -> "Pending[T]":
        """Return an outcome that is already there."""
        return cls(_Done(value))

    @property
    def is_done(self) -> bool:
        """Whether the outcome is there, so that `result` may be called."""
        return self._source.done()

    def result(self) -> T:
        """Return the outcome, or raise what went wrong."""
        return self._source.result()

    def __await__(self) -> Generator[object, None, T]:
        if isinstance(self._source, Future) and not self._source.done():
            return (yield from self._source.__await__())
        return self._source.result()

    def then(self, change: Callable[[T], U]) -> "Pending[U]":
        """Return the outcome as changed by a plain function; failures pass through."""
        source = self._source
        if not isinstance(source, Future):
            return Pending.done(change(source.result()))
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

        source.add_done_callback(settle)
        return Pending(changed)

    def when_done(self, call: Callable[[], object]) -> None:
        """Call back once the outcome is there, at once if it is already."""
        if isinstance(self._source, Future):
            self._source.add_done_callback(lambda _: call())
        else:
            call()


class _Done(Generic[T]):
    __slots__ = ("_value",)

    def __init__(self, value: T) -> None:
        self._value = value

    def done(self) -> bool:
        return True

    def result(self) -> T:
        return self._value
