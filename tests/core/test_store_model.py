"""Whatever is appended, trimmed and restarted, the file agrees with a simple model."""

import sqlite3
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from chatserver.errors import ActionError
from chatserver.guard import ANYBODY, Guard
from chatserver.publications import Keeping, Publication
from chatserver.store import CID_LIFE, Stored, slack
from chatserver.store.schema import close_file, open_file
from chatserver.store.wiping import Wiper
from chatserver.store.writer import Writer

LENGTH = 20
AGE = 3600.0
ROOMS = ["for ever", "short", "brief", "both"]
USERS = ["ann", "bob", None]
CIDS = [None, "c1", "c2", "c3", "c4"]
TEXTS = [b"tea", b"milk"]
DAY = float(CID_LIFE)

GUARD = Guard(author="ann", within=3600.0, most=3)

Sent = tuple[str, str | None, str | None, bytes]
Meant = tuple[str, str | None, int, bool, bool]
"""A change: room, cid, how far behind the top its target is, whether it erases, and is guarded."""


class Kept:
    """What the model knows of a publication."""

    def __init__(self, time: float, sent: Publication) -> None:
        self.time = time
        self.user = sent.user
        self.target = sent.target
        self.body: bytes | None = sent.body


def rules(room: str) -> Keeping:
    return {
        "for ever": Keeping(),
        "short": Keeping(length=LENGTH),
        "brief": Keeping(age=AGE),
        "both": Keeping(length=LENGTH, age=AGE),
    }[room]


def event(text: bytes, counter: int) -> bytes:
    """Return what the server makes of a text, never twice the same."""
    return b'{"text":"%b","timestamp":"%d"}' % (text, counter)


def written(body: bytes) -> bytes:
    """Return what of it the author wrote."""
    return body[: body.index(b',"timestamp"')]


def stamp(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


class StoreMachine(RuleBasedStateMachine):
    """Keep every publication ever acknowledged, and who used which cid when."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "chat.db"
        self.now = 1_800_000_000.0
        self.counter = 0
        self.log: dict[str, list[Kept]] = {room: [] for room in ROOMS}
        self.epochs: dict[str, str] = {}
        self.ended: set[str] = set()
        self.newest = ""
        self.cids: dict[tuple[str, str, str], tuple[float, int, bytes]] = {}
        self.seen_oldest = dict.fromkeys(ROOMS, 1)

    @initialize()
    def start(self) -> None:
        self.connection = open_file(self.path, 1)
        self.wiper = Wiper(self.path)
        self.writer = Writer(self.connection, rules, self.wiper)

    def teardown(self) -> None:
        self.connection.close()
        self.wiper.close()
        self.folder.cleanup()

    @rule(
        batch=st.lists(
            st.tuples(
                st.sampled_from(ROOMS),
                st.sampled_from(USERS),
                st.sampled_from(CIDS),
                st.sampled_from(TEXTS),
            ),
            max_size=60,
        )
    )
    def append(self, batch: list[Sent]) -> None:
        publications = []
        for room, user, cid, text in batch:
            self.counter += 1
            publications.append(
                Publication(room, event(text, self.counter), stamp(self.now), user, cid)
            )
        self.write(publications)

    @rule(
        changes=st.lists(
            st.tuples(
                st.sampled_from(ROOMS),
                st.sampled_from(CIDS),
                st.integers(-1, 12),
                st.booleans(),
                st.booleans(),
            ),
            max_size=20,
        )
    )
    def change(self, changes: list[Meant]) -> None:
        publications = []
        for room, cid, back, erases, guarded in changes:
            self.counter += 1
            publications.append(
                Publication(
                    *(room, event(TEXTS[1], self.counter), stamp(self.now), "ann", cid),
                    kind="edit",
                    target=max(0, len(self.log[room]) - back),
                    erases=erases,
                    guard=GUARD if guarded else ANYBODY,
                )
            )
        self.write(publications)

    @rule(room=st.sampled_from(ROOMS))
    def leave(self, room: str) -> None:
        """Delete all that is in a room, and go on in another one later."""
        oldest = self.oldest(room)
        self.write(
            [
                Publication(room, b"{}", stamp(self.now), "ann", target=offset, erases=True)
                for offset, each in enumerate(self.log[room][oldest - 1 :], oldest)
                if self.is_message(each)
            ]
        )
        self.wait(30)
        self.append([(next(each for each in ROOMS if each != room), None, None, TEXTS[0])])

    def write(self, publications: list[Publication]) -> None:
        # A room is trimmed after the batch; until then its changes may be about what goes.
        oldest = {room: self.oldest(room) for room in ROOMS}
        outcomes = self.writer.write(publications)
        assert len(outcomes) == len(publications)
        for sent, outcome in zip(publications, outcomes, strict=True):
            self.check(sent, outcome, oldest[sent.room])

    def refused(self, sent: Publication, oldest: int) -> str | None:
        """The code of the refusal of a change, by the model."""
        log, target = self.log[sent.room], sent.target
        if target is None:
            return None
        if not oldest <= target <= len(log):
            return "not_found"
        found = log[target - 1]
        if found.target is not None or found.body is None:
            return "not_found"
        changes = sum(each.target == target for each in log[oldest - 1 :])
        if sent.guard == GUARD and (
            found.user != "ann" or self.now - found.time > 3600 or changes >= 3
        ):
            return "forbidden"
        return None

    def check(self, sent: Publication, outcome: Stored | ActionError, before: int) -> None:
        log = self.log[sent.room]
        key = (sent.room, sent.user or "", sent.cid or "")
        known = self.cids.get(key)
        if known is not None:
            time, offset, text = known
            remembered = (
                outcome.duplicate if isinstance(outcome, Stored) else outcome.code == "conflict"
            )
            forgotten = not remembered and self.now - time > DAY and offset < self.oldest(sent.room)
            if not forgotten:
                if text != written(sent.body):
                    assert isinstance(outcome, ActionError)
                    assert outcome.code == "conflict"
                else:
                    assert isinstance(outcome, Stored)
                    assert outcome.duplicate
                    assert outcome.position.offset == offset
                    assert outcome.timestamp == stamp(time)
                return
        refused = self.refused(sent, before)
        if refused is not None:
            assert isinstance(outcome, ActionError)
            assert outcome.code == refused
            return
        assert isinstance(outcome, Stored)
        assert not outcome.duplicate
        assert outcome.timestamp == sent.timestamp
        assert outcome.position.offset == len(log) + 1
        assert self.epochs.setdefault(sent.room, outcome.position.epoch) == outcome.position.epoch
        assert outcome.position.epoch not in self.ended
        self.newest = sent.room
        if sent.erases:
            for offset, each in enumerate(log, 1):
                if sent.target in (offset, each.target):
                    each.body = None
        log.append(Kept(self.now, sent))
        if sent.cid is not None:
            self.cids[key] = (self.now, len(log), written(sent.body))

    @rule(hours=st.sampled_from([0.5, 2, 30]))
    def wait(self, hours: float) -> None:
        self.now += hours * 3600

    @rule()
    def sweep(self) -> None:
        while self.writer.sweep(self.now):
            pass
        for room, keeping in ((room, rules(room)) for room in ROOMS):
            log, oldest = self.log[room], self.oldest(room)
            if keeping.age is not None:
                assert all(self.now - each.time <= keeping.age for each in log[oldest - 1 :])
            if keeping.length is not None:
                assert len(log) - oldest + 1 <= keeping.length

    @rule(clean=st.booleans())
    def restart(self, clean: bool) -> None:
        if clean:
            close_file(self.connection)
        else:
            self.connection.close()
        self.wiper.close()
        self.start()
        self.writer.remove_rooms(self.now)
        rooms = {name for (name,) in self.connection.execute("SELECT name FROM room")}
        for room, log in self.log.items():
            if log and room not in rooms:
                self.end(room)
            elif log and room != self.newest and self.oldest(room) == 1:
                assert any(self.is_message(each) or self.now - each.time <= DAY for each in log)

    def end(self, room: str) -> None:
        """Forget a room that has been removed, with good reason."""
        assert not any(map(self.is_message, self.log[room][self.seen_oldest[room] - 1 :]))
        cids = [key for key in self.cids if key[0] == room]
        assert all(self.now - self.cids.pop(key)[0] > DAY for key in cids)
        assert room != self.newest
        self.ended.add(self.epochs.pop(room))
        self.log[room] = []
        self.seen_oldest[room] = 1

    def is_message(self, kept: Kept) -> bool:
        return kept.target is None and kept.body is not None

    @precondition(lambda self: any(self.log.values()))
    @rule(room=st.sampled_from(ROOMS))
    def fail_in_the_middle(self, room: str) -> None:
        append = self.writer._appender.append

        def failing(batch: object) -> list[Stored | ActionError]:
            append(batch)  # type: ignore[arg-type]  # handed on as it is
            raise sqlite3.OperationalError("disk I/O error")

        self.writer._appender.append = failing  # type: ignore[method-assign]  # restored below
        try:
            self.writer.write([Publication(room, b"lost", stamp(self.now), "ann", "lost")])
        except sqlite3.OperationalError:
            pass
        else:
            raise AssertionError("the failure was swallowed")
        finally:
            self.writer._appender.append = append  # type: ignore[method-assign]  # as it was

    def oldest(self, room: str) -> int:
        row = self.connection.execute("SELECT floor FROM room WHERE name = ?", (room,)).fetchone()
        oldest: int = 1 if row is None else row[0]
        return oldest

    @invariant()
    def the_file_has_what_the_model_has(self) -> None:
        if not hasattr(self, "connection"):
            return
        for room in ROOMS:
            oldest, log, keeping = self.oldest(room), self.log[room], rules(room)
            assert oldest >= self.seen_oldest[room]
            self.seen_oldest[room] = oldest
            rows = self.connection.execute(
                "SELECT p.offset, body FROM publication p"
                " JOIN room r ON p.room = r.id WHERE name = ? AND kind IS NOT NULL"
                " ORDER BY p.offset",
                (room,),
            ).fetchall()
            assert rows == [
                (offset, each.body) for offset, each in enumerate(log, 1) if offset >= oldest
            ]
            kept = len(rows)
            if keeping.length is None and keeping.age is None:
                assert oldest == 1
            if keeping.length is not None:
                assert kept < keeping.length + max(slack(keeping.length), 60)
                if keeping.age is None:
                    assert kept >= min(len(log), keeping.length)
            if keeping.age is not None and keeping.length is None:
                young = sum(self.now - each.time < keeping.age for each in log)
                assert kept >= young


TestStoreAgainstModel = StoreMachine.TestCase
TestStoreAgainstModel.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
