"""Run the writer on its thread: take everything queued, commit it once, wake the loop once."""

import asyncio
import logging
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from time import monotonic, time
from typing import Final

from chatserver.errors import ActionError
from chatserver.pending import Pending
from chatserver.publications import Publication, Published
from chatserver.stats import StoreStats
from chatserver.store import Moves, Settle, Trimmed, stopping, unavailable
from chatserver.store.batch import Batch
from chatserver.store.checkpoints import Checkpoints
from chatserver.store.failures import FAULT, DamagedIndex, Verdict, broken, is_of_disk, judge
from chatserver.store.indexing import Indexing
from chatserver.store.schema import close_file
from chatserver.store.sweeping import Sweeping
from chatserver.store.threads import leave_signals
from chatserver.store.writer import Writer

log = logging.getLogger("chatserver.store")

REST: Final = 9
"""Times as long as it took that a sweep rests while there is something to store."""

AT_ONCE: Final = 512
"""Outcomes settled in one tick: the loop stays lively, and the next batch begins to fill."""

Judge = Callable[[Publication], ActionError | None]
"""Tell why a publication that is queued behind a refusal is refused as well, if it is."""


class Committer:
    """Queue publications in the loop, write them in a thread, settle them in the loop.

    Args:
        connection: The file, opened for writing; closed by the thread.
        writer: Writes batches on this connection.
        checkpoints: Follows it; closed by the thread.
        most: Publications that may be queued.
        most_bytes: Bytes of bodies that may be queued.
        trimmed: Is told when publications are no longer kept.
        settle: Is told what became of publications.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        writer: Writer,
        checkpoints: Checkpoints,
        most: int,
        most_bytes: int,
        trimmed: Trimmed | None = None,
        settle: Settle | None = None,
    ) -> None:
        self.failure: str | None = None
        self._connection = connection
        self._writer = writer
        self._checkpoints = checkpoints
        self._indexing = Indexing(writer, self._stop_where_disk_fails)
        self._sweeping = Sweeping(writer, self._stop_where_disk_fails)
        self._most = most
        self._most_bytes = most_bytes
        self._trimmed = trimmed
        self._settle = settle
        self._floors: dict[str, int] = {}
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._gathered = Batch()
        self._queue = Batch()
        self._moves: list[tuple[Moves, asyncio.Future[None]]] = []
        self._queued = 0
        self._queued_bytes = 0
        self._settled: deque[Batch] = deque()
        self._settling = False
        self._stored = 0
        self._refusing = False
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="chatserver-writer", daemon=True)
        self._thread.start()

    # In the loop

    def append(self, publication: Publication) -> Pending[Published]:
        """Queue a publication; see `Store.append`."""
        if self.failure is not None:
            raise broken()
        size = len(publication.body)
        if self._queued >= self._most or self._queued_bytes + size > self._most_bytes:
            raise unavailable("More messages are waiting to be stored than may be; try again", 1)
        if self._stopping:
            raise stopping()
        self._queued += 1
        self._queued_bytes += size
        if not self._gathered.publications:
            self._loop.call_soon(self._kick)
        pending: Pending[Published] = Pending()
        self._gathered.add(publication, pending)
        return pending

    @property
    def stats(self) -> StoreStats:
        """What has been stored and refused, and how much waits."""
        stats = self._writer.stats
        stats.queued = self._queued
        return stats

    async def reached(self) -> None:
        """Wait until all that is stored now can be found by searches.

        Raises:
            ActionError: ``unavailable``.
        """
        if self.failure is None:
            future = self._indexing.reached()
            self._wake.set()
            await future

    def renew_index(self, found: DamagedIndex) -> None:
        """Have the search index made anew, in which a search has found damage."""
        self._indexing.renew(found)
        self._wake.set()

    def move_cursors(self, moves: Moves) -> "asyncio.Future[None]":
        """Write how far users have read, between two batches; see `Store.move_cursors`."""
        if self.failure is not None:
            raise broken()
        moved: asyncio.Future[None] = self._loop.create_future()
        with self._lock:
            self._moves.append((moves, moved))
        self._wake.set()
        return moved

    async def close(self) -> None:
        """Write what is queued, then end the thread."""
        # In this order: the thread ends once it is to stop and finds nothing.
        self._kick()
        self._stopping = True
        self._wake.set()
        # Who stops waiting does not stop the thread.
        await asyncio.shield(self._ended)
        self._settle_all()
        await asyncio.to_thread(self._thread.join)

    def _kick(self) -> None:
        gathered, self._gathered = self._gathered, Batch()
        with self._lock:
            self._queue.extend(gathered)
        self._wake.set()

    def _take_queue(self) -> Batch:
        with self._lock:
            queue, self._queue = self._queue, Batch()
        return queue

    def _take_outcomes(self, batch: Batch) -> None:
        self._settled.extend(batch.cut(AT_ONCE))
        if not self._settling:
            self._settling = True
            self._settle_some()

    def _settle_some(self) -> None:
        left = AT_ONCE
        while self._settled and left > 0:
            left -= self._settle_one()
        self._settling = bool(self._settled)
        if self._settling:
            self._loop.call_soon(self._settle_some)
        elif self._floors:
            self._tell_floors()

    def _settle_one(self) -> int:
        batch = self._settled.popleft()
        count = len(batch.outcomes)
        self._queued -= count
        self._queued_bytes -= batch.size
        batch.hand_on(self._settle)
        return count

    def _settle_all(self) -> None:
        while self._settled:
            self._settle_one()

    def _take_floors(self, floors: dict[str, int]) -> None:
        self._floors.update(floors)
        if not self._settling:
            self._tell_floors()

    def _tell_floors(self) -> None:
        floors, self._floors = self._floors, {}
        if self._trimmed is not None:
            for room, floor in floors.items():
                self._trimmed(room, floor)

    def _refuse(self, batch: Batch, judge_behind: Judge) -> None:
        # What is queued behind a refusal must not be stored before the refusal is known.
        refused = Batch()
        self._kick()
        queue = self._take_queue()
        for publication, pending in zip(queue.publications, queue.waiting, strict=True):
            refusal = judge_behind(publication)
            if refusal is None:
                self._queue.add(publication, pending)
            else:
                refused.add(publication, pending)
                refused.outcomes.append(refusal)
        self._settled += batch, refused
        self._settle_all()

    def _give_up(self, failure: str) -> None:
        self.failure = failure
        self._kick()
        queue = self._take_queue()
        moves, self._moves = self._moves, []
        queue.outcomes += [broken()] * len(queue.waiting)
        self._settled.append(queue)
        self._settle_all()
        for _, moved in moves:
            _settle_moves(moved, broken())

    # In the thread

    def _run(self) -> None:
        leave_signals()
        try:
            while not (self._stopping and not self._queue.waiting and not self._moves):
                self._wake.wait(self._patience)
                self._wake.clear()
                while self._moves or (self._queue.waiting and self.failure is None):
                    self._move_cursors()
                    self._write()
                    self._sweep_if_due(REST)
                    self._follow()
                if self.failure is None and monotonic() >= self._indexing.due:
                    self._indexing.step()
                self._sweep_if_due(0)
                self._follow()
            self._close()
        except Exception as error:
            log.critical("STORING HAS FAILED and is off until a restart", exc_info=True)
            self._loop.call_soon_threadsafe(self._give_up, f"a fault in the store: {error!r}")
            self._checkpoints.close()
            self._connection.close()
        finally:
            self._loop.call_soon_threadsafe(self._ended.set_result, None)

    @property
    def _patience(self) -> float | None:
        if self.failure is not None:
            return None
        return max(0.0, min(self._sweeping.due, self._indexing.due) - monotonic())

    def _write(self) -> None:
        batch = self._take_queue()
        if not batch.publications:
            return
        try:
            batch.outcomes = self._writer.write(batch.publications)
        except sqlite3.Error as error:
            self._fail(batch, judge(error))
        except Exception:
            log.exception("messages could not be stored")
            self._fail(batch, FAULT)
        else:
            if self._refusing:
                self._refusing = False
                log.warning("messages are stored again")
            refused = self._writer.refused
            if refused:
                self._hand_back(
                    batch,
                    lambda each: None if each.erases else refused.get((each.room, each.user)),
                )
            else:
                self._loop.call_soon_threadsafe(self._take_outcomes, batch)
            self._hand_floors()
            self._stored += batch.size
            self._indexing.follow(len(batch.publications))

    def _follow(self) -> None:
        stored, self._stored = self._stored, 0
        if self.failure is not None:
            return
        try:
            self._checkpoints.follow(stored)
        except sqlite3.Error as error:
            self._stop_where_disk_fails(error)

    def _fail(self, batch: Batch, verdict: Verdict) -> None:
        if verdict.fatal:
            log.critical(verdict.log)
        elif not self._refusing:
            self._refusing = True
            log.error(verdict.log)
        rooms = {publication.room for publication in batch.publications}

        def judge_behind(publication: Publication) -> ActionError | None:
            return verdict.error if verdict.fatal or publication.room in rooms else None

        failure = verdict.log if verdict.fatal else None
        batch.outcomes = [verdict.error] * len(batch.publications)
        self._hand_back(batch, judge_behind, failure)

    def _stop_where_disk_fails(self, error: sqlite3.Error) -> bool:
        # Messages that are written behind what was not synced may be lost with it.
        if not is_of_disk(error):
            return False
        self._fail(Batch(), judge(error))
        return True

    def _hand_back(
        self,
        batch: Batch,
        judge_behind: Judge,
        failure: str | None = None,
    ) -> None:
        handled = threading.Event()

        def refuse() -> None:
            self.failure = failure
            try:
                self._refuse(batch, judge_behind)
            finally:
                handled.set()

        self._loop.call_soon_threadsafe(refuse)
        handled.wait()

    def _move_cursors(self) -> None:
        with self._lock:
            waiting, self._moves = self._moves, []
        for moves, moved in waiting:
            self._loop.call_soon_threadsafe(_settle_moves, moved, self._note(moves))

    def _note(self, moves: Moves) -> ActionError | None:
        if self.failure is not None:
            return broken()
        try:
            self._writer.move_cursors(moves, time())
        except sqlite3.Error as error:
            self._stop_where_disk_fails(error)
            return judge(error).error
        except Exception:
            log.exception("cursors could not be written")
            return FAULT.error
        return None

    def _sweep_if_due(self, rest: int) -> None:
        if self.failure is None and monotonic() >= self._sweeping.due:
            self._sweeping.step(rest)
            self._hand_floors()

    def _hand_floors(self) -> None:
        floors = self._writer.take_floors()
        if floors:
            self._loop.call_soon_threadsafe(self._take_floors, floors)

    def _close(self) -> None:
        self._checkpoints.close()
        if self.failure is not None:
            # Not noted as a clean stop: the next start checks the file.
            self._connection.close()
            return
        try:
            close_file(self._connection)
        except sqlite3.Error as error:
            self.failure = f"the store could not be closed in order: {error}"
            log.error(self.failure)
            self._connection.close()


def _settle_moves(moved: "asyncio.Future[None]", error: ActionError | None) -> None:
    if moved.done():
        return
    if error is None:
        moved.set_result(None)
    else:
        moved.set_exception(error)
