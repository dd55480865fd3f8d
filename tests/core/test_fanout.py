"""Events are written once per member and tick, in order, and to nobody who came later."""

import pytest

from chatserver.envelope import encode_event
from chatserver.fanout import EARLY, LONGEST_REST, LOOK_EVERY, FanOut
from chatserver.frames import text_frame
from chatserver.rooms import Room
from chatserver.session import Identity, Session
from chatserver.stats import Stats

from .sinks import Crank, Place, RecordingSink


class Members:
    """Have rooms with recording members and a hand-cranked tick."""

    def __init__(self) -> None:
        self.crank = Crank()
        self.stats = Stats()
        self.fan_out = FanOut(self.crank, self.stats)
        self.count = 0

    def room(self, name: str = "lobby", members: int = 2) -> tuple[Room[Session], RecordingSink]:
        """Return a room with some members, and the first one's sink."""
        room: Room[Session] = Room(name)
        sinks = [self.join(room) for _ in range(members)]
        return room, sinks[0]

    def join(self, room: Room[Session]) -> RecordingSink:
        self.count += 1
        sink = RecordingSink()
        session = Session(f"c{self.count}", Identity(user=f"u{self.count}"), "")
        room.members[session] = sink.write
        return sink


def test_a_burst_is_joined_once_per_tick() -> None:
    members = Members()
    room: Room[Session] = Room("lobby")
    sinks = [members.join(room) for _ in range(3)]
    frames = [text_frame(b"%d" % number) for number in range(16)]
    for frame in frames:
        members.fan_out.publish(room, frame)
    assert [sink.writes for sink in sinks] == [[], [], []]
    members.crank.turn()
    assert [sink.writes for sink in sinks] == [[b"".join(frames)]] * 3
    members.crank.turn()
    assert [len(sink.writes) for sink in sinks] == [1, 1, 1]
    assert members.stats.deliveries == 16 * 3


def test_every_member_gets_the_very_same_bytes() -> None:
    members = Members()
    room: Room[Session] = Room("lobby")
    sinks = [members.join(room) for _ in range(3)]
    members.fan_out.publish(room, text_frame(b"a"))
    members.fan_out.publish(room, text_frame(b"b"))
    members.crank.turn()
    assert len({id(sink.writes[0]) for sink in sinks}) == 1


def test_one_tick_serves_all_rooms_in_the_order_they_were_first_published_to() -> None:
    members = Members()
    both = RecordingSink()
    rooms: list[Room[Session]] = [Room("tea"), Room("work")]
    for room in rooms:
        room.members[Session("c", Identity(user="u"), "")] = both.write
    tea, work = rooms
    for room, text in ((work, b"1"), (tea, b"2"), (work, b"3")):
        members.fan_out.publish(room, text_frame(text))
    assert len(members.crank.calls) == 1
    members.crank.turn()
    assert both.texts == ["1", "3", "2"]
    assert len(both.writes) == 2


def test_each_tick_is_asked_for_anew() -> None:
    members = Members()
    room, sink = members.room()
    for text in ("a", "b", "c"):
        members.fan_out.publish(room, text_frame(text.encode()))
        assert len(members.crank.calls) == 1
        members.crank.turn()
    assert (sink.texts, len(sink.writes)) == (["a", "b", "c"], 3)


def test_what_is_published_while_flushing_goes_out_in_the_next_tick() -> None:
    members = Members()
    room, sink = members.room(members=1)
    answers = iter([b"answer"])

    def answer(frames: bytes, essential: bytes | None) -> None:
        for text in answers:
            members.fan_out.publish(room, text_frame(text))

    room.members[Session("echo", Identity(user="echo"), "")] = answer
    members.fan_out.publish(room, text_frame(b"question"))
    members.crank.turn()
    assert sink.texts == ["question"]
    members.crank.turn()
    assert sink.texts == ["question", "answer"]


def test_a_room_is_flushed_early_at_its_bound() -> None:
    members = Members()
    room, sink = members.room()
    frame = text_frame(b"x" * (EARLY // 4 - 4))
    for _ in range(3):
        members.fan_out.publish(room, frame)
    assert sink.writes == []
    members.fan_out.publish(room, frame)
    assert [len(data) for data in sink.writes] == [4 * len(frame)]
    members.fan_out.publish(room, text_frame(b"after"))
    members.crank.turn()
    assert [frames[-5:] for frames in sink.writes] == [b"xxxxx", b"after"]


def test_one_frame_above_the_bound_goes_out_at_once_and_whole() -> None:
    members = Members()
    room, sink = members.room()
    frame = text_frame(b"x" * (2 * EARLY))
    members.fan_out.publish(room, frame)
    assert sink.writes == [frame]
    members.crank.turn()
    assert sink.writes == [frame]


def test_early_flushes_keep_the_order_and_lose_nothing() -> None:
    members = Members()
    room, sink = members.room()
    texts = [f"{number}:" + "x" * 20_000 for number in range(60)]
    for text in texts:
        members.fan_out.publish(room, text_frame(text.encode()))
    members.crank.turn()
    assert sink.texts == texts
    assert all(len(data) < EARLY + 21_000 for data in sink.writes)


def test_a_slow_reader_s_share_leaves_out_what_may_be_dropped() -> None:
    members = Members()
    room, sink = members.room()
    for text, droppable in ((b"1", False), (b"2", True), (b"3", False), (b"4", True)):
        members.fan_out.publish(room, text_frame(text), droppable=droppable)
    members.crank.turn()
    assert sink.texts == ["1", "2", "3", "4"]
    assert sink.essential == [text_frame(b"1") + text_frame(b"3")]


def test_without_anything_to_drop_there_is_one_share_only() -> None:
    members = Members()
    room, sink = members.room()
    members.fan_out.publish(room, text_frame(b"1"))
    members.crank.turn()
    assert sink.essential == [None]


def test_what_may_be_dropped_in_one_tick_does_not_count_in_the_next() -> None:
    members = Members()
    room, sink = members.room()
    members.fan_out.publish(room, text_frame(b"1"), droppable=True)
    members.crank.turn()
    members.fan_out.publish(room, text_frame(b"2"))
    members.crank.turn()
    assert sink.essential == [b"", None]


def test_flushing_one_room_leaves_the_others_waiting() -> None:
    members = Members()
    lobby, lobby_sink = members.room("lobby")
    work, work_sink = members.room("work")
    for room in (lobby, work):
        members.fan_out.publish(room, text_frame(b"a"))
    members.fan_out.flush(lobby)
    assert (lobby_sink.texts, work_sink.texts) == (["a"], [])
    members.fan_out.publish(lobby, text_frame(b"b"))
    members.crank.turn()
    assert (lobby_sink.texts, work_sink.texts) == (["a", "b"], ["a"])
    assert len(lobby_sink.writes) == 2


def test_flushing_with_nothing_pending_writes_nothing() -> None:
    members = Members()
    room, sink = members.room()
    members.fan_out.flush(room)
    assert sink.writes == []


def test_publishing_to_a_room_without_members_is_forgotten() -> None:
    members = Members()
    room: Room[Session] = Room("lobby")
    members.fan_out.publish(room, text_frame(b"a"))
    members.crank.turn()
    late = members.join(room)
    members.fan_out.publish(room, text_frame(b"b"))
    members.crank.turn()
    assert late.texts == ["b"]


async def test_who_joins_within_a_tick_gets_nothing_of_before() -> None:
    place = await Place().start()
    ann, ann_sink = place.connect()
    bob, bob_sink = place.connect()
    place.hub.join(ann, "lobby")
    place.hub.publish("lobby", "message", {"text": "before"})
    place.hub.join(bob, "lobby")
    place.hub.publish("lobby", "message", {"text": "after"})
    place.crank.turn()
    assert [event["text"] for event in ann_sink.events] == ["before", "after"]
    assert [event["text"] for event in bob_sink.events] == ["after"]


async def test_who_leaves_within_a_tick_gets_all_of_before_and_nothing_after() -> None:
    place = await Place().start()
    ann, ann_sink = place.connect()
    bob, bob_sink = place.connect()
    for session in (ann, bob):
        place.hub.join(session, "lobby")
    place.hub.publish("lobby", "message", {"text": "before"})
    place.hub.leave(bob, "lobby")
    place.hub.publish("lobby", "message", {"text": "after"})
    place.crank.turn()
    assert [event["text"] for event in ann_sink.events] == ["before", "after"]
    assert [event["text"] for event in bob_sink.events] == ["before"]


async def test_the_last_member_gets_what_it_is_owed_before_the_room_vanishes() -> None:
    place = await Place().start()
    ann, ann_sink = place.connect()
    place.hub.join(ann, "lobby")
    place.hub.publish("lobby", "message", {"text": "before"})
    place.hub.leave(ann, "lobby")
    place.hub.publish("lobby", "message", {"text": "to nobody"})
    place.hub.join(ann, "lobby")
    place.crank.turn()
    assert [event["text"] for event in ann_sink.events] == ["before"]


async def test_coming_and_going_flushes_that_room_only() -> None:
    place = await Place().start()
    ann, ann_sink = place.connect()
    bob, _ = place.connect()
    place.hub.join(ann, "lobby")
    place.hub.join(ann, "work")
    place.hub.publish("work", "message", {"text": "waits"})
    place.hub.join(bob, "lobby")
    place.hub.leave(bob, "lobby")
    assert ann_sink.writes == []
    place.crank.turn()
    assert [event["text"] for event in ann_sink.events] == ["waits"]


async def test_joining_again_flushes_nothing() -> None:
    place = await Place().start()
    ann, ann_sink = place.connect()
    place.hub.join(ann, "lobby")
    place.hub.publish("lobby", "message", {"text": "waits"})
    place.hub.join(ann, "lobby")
    assert ann_sink.writes == []
    place.crank.turn()
    assert [event["text"] for event in ann_sink.events] == ["waits"]


def test_an_event_is_framed_once_for_all() -> None:
    members = Members()
    room, sink = members.room()
    body = encode_event({"action": "message", "text": "äöü"})
    members.fan_out.publish(room, text_frame(body))
    members.crank.turn()
    assert sink.events == [{"action": "message", "text": "äöü"}]


class Slow:
    """Have a room with a member whose writes take 1.5 ms, or other seconds."""

    def __init__(self) -> None:
        self.now = 100.0
        self.cost = 0.0015
        self.writes: list[bytes] = []
        self.crank = Crank()
        self.fan_out = FanOut(self.crank, Stats(), clock=lambda: self.now)
        self.room: Room[Session] = Room("lobby")
        self.room.add(Session("s", Identity(user="u"), ""), self.write)

    def write(self, frames: bytes, essential: bytes | None) -> None:
        self.now += self.cost
        self.writes.append(frames)

    def publish(self, count: int) -> None:
        for _ in range(count):
            self.fan_out.publish(self.room, b".")

    def flushed(self, count: int) -> list[float]:
        """Publish, let the flush come, and return the delays that were asked for."""
        before = len(self.crank.delays)
        self.publish(count)
        self.crank.turn()
        return self.crank.delays[before:]


def test_after_a_long_flush_publications_are_held_back() -> None:
    slow = Slow()
    assert slow.flushed(1) == [0.0]
    slow.now += 0.0004
    assert slow.flushed(1) == pytest.approx([0.0011])
    slow.now += 0.0003
    slow.publish(1)
    assert slow.crank.delays[2] == pytest.approx(0.0012)


def test_nothing_is_held_back_for_long_or_for_next_to_nothing() -> None:
    slow = Slow()
    for seconds in (10.0, 0.0009, 0.0):
        slow.cost = seconds
        assert slow.flushed(1) == [0.0]
        slow.now += LONGEST_REST * (seconds == 10.0)
    slow.cost = 10.0
    slow.flushed(1)
    assert slow.flushed(1) == pytest.approx([LONGEST_REST])


def test_a_rest_ends_once_as_many_are_there_as_usually_come() -> None:
    slow = Slow()
    slow.flushed(1)
    assert slow.flushed(5) == pytest.approx([0.0015])
    slow.publish(4)
    assert slow.crank.delays[-1] == pytest.approx(0.0015)
    slow.publish(1)
    assert (slow.crank.delays[-1], len(slow.crank.calls)) == (0.0, 1)
    slow.publish(2)
    slow.crank.turn()
    assert slow.writes[2:] == [b"." * 7]
    assert slow.crank.calls == []


def test_now_and_then_a_rest_lasts_to_its_end() -> None:
    slow = Slow()
    slow.flushed(1)
    delays = [slow.flushed(count) for count in (2, *[2] * (LOOK_EVERY - 1), 3, 2, 3)]
    ended_early = [len(asked) == 2 for asked in delays]
    assert ended_early == [False, *[True] * (LOOK_EVERY - 1), False, False, True]


def test_without_a_rest_nothing_is_ended() -> None:
    slow = Slow()
    slow.flushed(1)
    slow.flushed(2)
    slow.now += 1
    assert slow.flushed(5) == [0.0]
