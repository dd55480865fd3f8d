"""Carry an outcome that may still be on its way, such as a commit."""

import asyncio
import logging
from collections.abc import Callable, Generator
from typing import Generic, TypeVar

from chatserver.errors import ActionError

log = logging.getLogger("chatserver.pending")

T = TypeVar("T")
U = TypeVar("U")


class Pending(Generic[T]):
    """Await or hand on an outcome; a finished one costs no trip through the event loop.

    A plain function that waits (`then`, `when_done`) is called in the very step that brings the
    outcome, in the order of asking: thousands a second come back from a store, and futures for
    them would cost more than the storing. So would many small objects, each looked at by the
    garbage collector while it waits: one that waits needs no list, and `then` no closure.

    Args:
        future: Brings the outcome; without one, `settle` or `fail` does.

    Attributes:
        is_done: Whether the outcome is there, so that `result` may be called.
    """

    __slots__ = ("_call", "_error", "_others", "_trace", "_value", "is_done")

    _value: T
    _error: BaseException | None
    _call: Callable[[], object] | None
    _others: list[Callable[[], object]] | None

    def __init__(self, future: "asyncio.Future[T] | None" = None) -> None:
        self.is_done = False
        self._error = None
        self._call = None
        self._others = None
        if future is not None:
            if future.done():
                self._take(future)
            else:
                future.add_done_callback(self._take)

    @classmethod
    def done(cls, value: T) -> "Pending[T]":
        """Return an outcome that is already there."""
        pending = cls()
        pending.is_done = True
        pending._value = value
        return pending

    def settle(self, value: T) -> None:
        """Bring the outcome, once."""
        self._value = value
        self._finish()

    def fail(self, error: BaseException) -> None:
        """Bring what went wrong instead; nobody has to ask for it."""
        self._error = error
        # An answer to a client may be one object for many: each raise would make its trace longer.
        self._trace = None if isinstance(error, ActionError) else error.__traceback__
        self._finish()

    @property
    def error(self) -> BaseException | None:
        """What went wrong, if it has."""
        return self._error

    def result(self) -> T:
        """Return the outcome, or raise what went wrong."""
        if self._error is not None:
            raise self._error.with_traceback(self._trace)
        return self._value

    def __await__(self) -> Generator[object, None, T]:
        if not self.is_done:
            arrived = asyncio.Event()
            self.when_done(arrived.set)
            yield from arrived.wait().__await__()
        return self.result()

    def then(self, change: Callable[[T], U]) -> "Pending[U]":
        """Return the outcome as changed by a plain function; failures pass through."""
        if self.is_done and self._error is None:
            return Pending.done(change(self._value))
        changed: _Changed[T, U] = _Changed()
        changed.source = self
        changed.change = change
        self.when_done(changed)
        return changed

    def when_done(self, call: Callable[[], object]) -> None:
        """Call back once the outcome is there, at once if it is already."""
        if self.is_done:
            call()
        elif self._call is None:
            self._call = call
        elif self._others is None:
            self._others = [call]
        else:
            self._others.append(call)

    def _take(self, future: "asyncio.Future[T]") -> None:
        try:
            value = future.result()
        except (Exception, asyncio.CancelledError) as error:
            self.fail(error)
        else:
            self.settle(value)

    def _finish(self) -> None:
        self.is_done = True
        first, self._call = self._call, None
        others, self._others = self._others, None
        if first is None:
            return
        for call in (first,) if others is None else (first, *others):
            try:
                call()
            except Exception:
                log.exception("%r failed", call)


class _Changed(Pending[U], Generic[T, U]):
    """Wait for another outcome, and be what a function makes of it.

    Both are set by `then`: an `__init__` of its own would have to call the other one, which takes
    as long as all the rest.
    """

    __slots__ = ("change", "source")

    source: Pending[T]
    change: Callable[[T], U]

    def __call__(self) -> None:
        source = self.source
        if source._error is not None:
            self.fail(source._error)
            return
        try:
            value = self.change(source._value)
        except Exception as error:
            self.fail(error)
        else:
            self.settle(value)
