"""Carry an outcome that may still be on its way, such as a commit."""

import asyncio
import logging
from collections.abc import Callable, Generator, Iterable
from types import TracebackType
from typing import Any, Generic, TypeVar

from chatserver.errors import ActionError

log = logging.getLogger("chatserver.pending")

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
U = TypeVar("U")

Call = Callable[[], object]


class Pending(Generic[T_co]):
    """Await or hand on an outcome; a finished one costs no trip through the event loop.

    A plain function that waits (`then`, `when_done`) is called in the very step that brings the
    outcome, in the order of asking: thousands a second come back from a store, and futures for
    them would cost more than the storing. So would many small objects, each looked at by the
    garbage collector while it waits: one that waits needs no list, and `then` no closure.

    Args:
        future: Brings the outcome; without one, `settle_all` or `fail` does, once.

    Attributes:
        is_done: Whether the outcome is there, so that `result` may be called.
    """

    __slots__ = ("_error", "_trace", "_value", "_waiting", "is_done")

    _value: T_co
    _error: BaseException | None
    _trace: TracebackType | None
    _waiting: "Call | _Changed[T_co, Any] | list[Call | _Changed[T_co, Any]] | None"

    def __init__(self, future: "asyncio.Future[T_co] | None" = None) -> None:
        self.is_done = False
        self._error = None
        self._waiting = None
        if future is not None:
            if future.done():
                self._take(future)
            else:
                future.add_done_callback(self._take)

    @staticmethod
    def done(value: T) -> "Pending[T]":
        """Return an outcome that is already there."""
        pending: Pending[T] = Pending()
        pending.is_done = True
        pending._value = value
        return pending

    def fail(self, error: BaseException) -> None:
        """Bring what went wrong instead; nobody has to ask for it."""
        settle_all(((self, error),))

    @property
    def error(self) -> BaseException | None:
        """What went wrong, if it has."""
        return self._error

    def result(self) -> T_co:
        """Return the outcome, or raise what went wrong."""
        if self._error is not None:
            raise self._error.with_traceback(self._trace)
        return self._value

    def __await__(self) -> Generator[object, None, T_co]:
        if not self.is_done:
            arrived = asyncio.Event()
            self.when_done(arrived.set)
            yield from arrived.wait().__await__()
        return self.result()

    def then(self, change: Callable[[T_co], U]) -> "Pending[U]":
        """Return the outcome as changed by a plain function; failures pass through.

        What the function raises is the outcome then, and so is an exception that it returns.
        """
        changed: _Changed[T_co, U] = _Changed()
        changed.change = change
        if self.is_done:
            outcome = self._value if self._error is None else self._error
            _bring(changed, changed.made_of(outcome), {})
        else:
            self._tell(changed)
        return changed

    def when_done(self, call: Callable[[], object]) -> None:
        """Call back once the outcome is there, at once if it is already.

        Args:
            call: Is called once for all outcomes that come in one step, if it waits for several;
                what it raises is logged.

        Raises:
            TypeError: `call` has no hash, by which it would be known again.
        """
        if self.is_done:
            call()
            return
        hash(call)
        self._tell(call)

    def _tell(self, waiting: "Call | _Changed[T_co, Any]") -> None:
        if self._waiting is None:
            self._waiting = waiting
        elif isinstance(self._waiting, list):
            self._waiting.append(waiting)
        else:
            self._waiting = [self._waiting, waiting]

    def _take(self, future: "asyncio.Future[T_co]") -> None:
        try:
            value = future.result()
        except (Exception, asyncio.CancelledError) as error:
            self.fail(error)
        else:
            settle_all(((self, value),))


class _Changed(Pending[U], Generic[T, U]):
    """Be what a function makes of another outcome.

    It is set by `then`: an `__init__` of its own would have to call the other one, which takes as
    long as all the rest.
    """

    __slots__ = ("change",)

    change: Callable[[T], U]

    def made_of(self, outcome: T | BaseException) -> U | BaseException:
        if isinstance(outcome, BaseException):
            return outcome
        try:
            return self.change(outcome)
        except Exception as error:
            return error


def settle_all(outcomes: Iterable[tuple[Pending[T], T | BaseException]]) -> None:
    """Bring many outcomes, or what went wrong with them, in one step.

    Whoever waits for several of them is called once, when all are there.
    """
    calls: dict[Call, None] = {}
    for pending, outcome in outcomes:
        _bring(pending, outcome, calls)
    for call in calls:
        try:
            call()
        except Exception:
            log.exception("%r failed", call)


def _bring(pending: Pending[Any], outcome: object, calls: dict[Call, None]) -> None:
    # Along the chain of those who change it: one call for all of them, as most have one listener.
    while True:
        if isinstance(outcome, BaseException):
            pending._error = outcome
            # An answer may be one object for many: each raise would make its trace longer.
            pending._trace = None if isinstance(outcome, ActionError) else outcome.__traceback__
        else:
            pending._value = outcome
        pending.is_done = True
        waiting = pending._waiting
        if waiting is None:
            return
        pending._waiting = None
        if isinstance(waiting, list):
            for each in waiting:
                if isinstance(each, _Changed):
                    _bring(each, each.made_of(outcome), calls)
                else:
                    calls[each] = None
            return
        if not isinstance(waiting, _Changed):
            calls[waiting] = None
            return
        outcome = waiting.made_of(outcome)
        pending = waiting
