"""Sessions, rooms and users of one process, with an in-memory broker and recording peers."""

import logging
import random
from datetime import datetime

import pytest

from chatserver.broker import Deliver, Publication
from chatserver.broker.memory import MemoryBroker
from chatserver.config import Config, LimitsConfig
from chatserver.context import ABOUT, RESERVED
from chatserver.errors import ActionError, CloseCode
from chatserver.extension import NoConfig
from chatserver.fanout import EARLY
from chatserver.frames import text_frame
from chatserver.hub import LocalHub
from chatserver.pending import Pending
from chatserver.plugin import Plugin
from chatserver.positions import Position
from chatserver.publications import Published
from chatserver.session import Identity, Session, User
from chatserver.stats import Stats

from .sinks import Crank, Place, RecordingSink
from .witness import Witness


class Broken(Plugin[NoConfig]):
    """Fail in every hook."""

    def on_connect(self, session: Session) -> None:
        raise RuntimeError("broken connect")

    def on_disconnect(self, session: Session) -> None:
        raise RuntimeError("broken disconnect")

    def on_join(self, session: Session, room: str) -> None:
        raise RuntimeError("broken join")

    def on_leave(self, session: Session, room: str) -> None:
        raise RuntimeError("broken leave")

    def on_rename(self, user: User, old: str) -> None:
        raise RuntimeError("broken rename")


# Rooms


class Crier(Plugin[NoConfig]):
    """Announce comings and goings."""

    hub: LocalHub

    def on_join(self, session: Session, room: str) -> None:
        self.hub.publish(room, "came", {"who": session.id})

    def on_leave(self, session: Session, room: str) -> None:
        self.hub.publish(room, "went", {"who": session.id})


async def test_members_are_counted_and_listed_in_the_order_they_joined() -> None:
    place = await Place().start()
    sessions = [place.connect()[0] for _ in range(3)]
    assert [place.hub.join(session, "lobby") for session in sessions] == [1, 2, 3]
    assert list(place.hub.members("lobby")) == sessions
    place.hub.leave(sessions[0], "lobby")
    assert list(place.hub.members("lobby")) == sessions[1:]
    assert place.hub.rooms() == {"lobby": 2}


async def test_the_room_joined_last_stands_at_the_end() -> None:
    place = await Place().start()
    ann, _ = place.connect()
    for room in ("lobby", "tea", "lobby"):
        place.hub.join(ann, room)
    assert list(place.hub.joined(ann)) == ["tea", "lobby"]
    assert "tea" in place.hub.joined(ann)
    place.hub.leave(ann, "lobby")
    assert list(place.hub.joined(ann)) == ["tea"]


async def test_joining_again_is_no_second_membership() -> None:
    diary: list[tuple[str, ...]] = []
    place = await Place(plugins=[Witness(diary)]).start()
    ann, ann_sink = place.connect()
    assert [place.hub.join(ann, "lobby") for _ in range(2)] == [1, 1]
    assert [entry[1] for entry in diary] == ["connect", "join"]
    place.hub.publish("lobby", "message", {"text": "once"})
    place.crank.turn()
    assert len(ann_sink.events) == 1
    place.hub.leave(ann, "lobby")
    assert place.hub.rooms() == {}


async def test_leaving_a_room_one_is_not_in_does_nothing() -> None:
    diary: list[tuple[str, ...]] = []
    place = await Place(plugins=[Witness(diary)]).start()
    ann, _ = place.connect()
    bob, _ = place.connect()
    place.hub.join(ann, "lobby")
    place.hub.leave(bob, "lobby")
    place.hub.leave(bob, "nowhere")
    assert place.hub.rooms() == {"lobby": 1}
    assert "leave" not in [entry[1] for entry in diary]


async def test_a_room_without_members_vanishes_and_is_nowhere() -> None:
    place = await Place().start()
    ann, _ = place.connect()
    place.hub.join(ann, "lobby")
    place.hub.leave(ann, "lobby")
    assert place.hub.rooms() == {}
    assert list(place.hub.members("lobby")) == []
    assert list(place.hub.joined(ann)) == []


class Ledger(MemoryBroker):
    """Note which rooms it is asked to deliver, and when."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def subscribe(self, room: str) -> None:
        self.asked.append(f"+{room}")
        super().subscribe(room)

    def unsubscribe(self, room: str) -> None:
        self.asked.append(f"-{room}")
        super().unsubscribe(room)


async def test_the_broker_delivers_a_room_from_the_first_member_to_the_last() -> None:
    place = Place()
    broker = Ledger()
    hub = LocalHub(Config(), place.hub.data_dir, broker, [], place.crank, place.stats)
    await hub.startup()
    ann, bob = place.connect()[0], place.connect()[0]
    for session in (ann, bob):
        hub.attach(session)
    for session in (ann, bob, ann):
        hub.join(session, "lobby")
    hub.join(ann, "tea")
    assert broker.asked == ["+lobby", "+tea"]
    hub.leave(ann, "lobby")
    assert broker.asked == ["+lobby", "+tea"]
    hub.drop(bob)
    assert broker.asked == ["+lobby", "+tea", "-lobby"]
    hub.join(ann, "lobby")
    assert broker.asked == ["+lobby", "+tea", "-lobby", "+lobby"]


# Every way out


async def test_dropping_ends_all_memberships_and_leaves_nothing_behind() -> None:
    diary: list[tuple[str, ...]] = []
    place = await Place(plugins=[Witness(diary)]).start()
    ann, _ = place.connect()
    await place.hub.claim_name(ann, "Ann")
    for room in ("lobby", "tea"):
        place.hub.join(ann, room)
    diary.clear()
    place.hub.drop(ann)
    assert diary == [
        ("witness", "leave", "c1", "lobby"),
        ("witness", "leave", "c1", "tea"),
        ("witness", "disconnect", "c1", "Ann"),
    ]
    assert place.is_empty


async def test_dropping_twice_is_dropping_once() -> None:
    diary: list[tuple[str, ...]] = []
    place = await Place(plugins=[Witness(diary)]).start()
    ann, _ = place.connect()
    for _ in range(2):
        place.hub.drop(ann)
    assert [entry[1] for entry in diary] == ["connect", "disconnect"]


async def test_two_connections_of_one_id_are_told_apart() -> None:
    place = await Place().start()
    ann, bob = place.connect()[0], place.connect()[0]
    twin = Session(ann.id, Identity(user="twin"), "")
    place.hub.attach(twin)
    for session in (ann, bob, twin):
        place.hub.join(session, "lobby")
        place.hub.drop(session)
    assert place.is_empty


async def test_who_is_gone_gets_nothing_any_more() -> None:
    place = await Place().start()
    ann, ann_sink = place.connect("ann")
    place.hub.join(ann, "lobby")
    place.hub.publish("lobby", "message", {"text": "before"})
    place.hub.broadcast("before")
    place.hub.drop(ann)
    place.hub.publish("lobby", "message", {"text": "after"})
    place.hub.publish_to("ann", "note")
    place.hub.broadcast("after")
    place.crank.turn()
    assert ann_sink.texts == []


async def test_who_leaves_gets_what_was_published_before() -> None:
    place = await Place().start()
    ann, ann_sink = place.connect("ann")
    place.hub.join(ann, "lobby")
    place.hub.publish("lobby", "message", {"text": "before"})
    place.hub.leave(ann, "lobby")
    place.hub.publish("lobby", "message", {"text": "after"})
    place.crank.turn()
    (event,) = ann_sink.events
    assert event["text"] == "before"


async def test_a_greeting_comes_before_the_room_is_told() -> None:
    crier = Crier(NoConfig())
    place = await Place(plugins=[crier]).start()
    crier.hub = place.hub
    ann, ann_sink = place.connect()
    counted: list[int] = []

    def greet(members: int) -> None:
        counted.append(members)
        assert ann_sink.events == []

    place.hub.join(ann, "lobby", greet)
    place.crank.turn()
    assert counted == [1]
    assert [event["action"] for event in ann_sink.events] == ["came"]


async def test_a_greeting_of_a_member_comes_after_what_it_is_owed() -> None:
    place = await Place().start()
    ann, ann_sink = place.connect()
    bob, bob_sink = place.connect()
    place.hub.join(ann, "lobby")
    place.hub.publish("lobby", "before", {})
    place.hub.join(bob, "lobby")
    place.hub.publish("lobby", "between", {})

    def greet(members: int) -> None:
        assert [event["action"] for event in ann_sink.events] == ["before", "between"]
        assert bob_sink.events == []

    place.hub.join(ann, "lobby", greet)
    place.hub.publish("lobby", "after", {})
    place.crank.turn()
    assert [event["action"] for event in ann_sink.events] == ["before", "between", "after"]
    assert [event["action"] for event in bob_sink.events] == ["between", "after"]


async def test_kicking_closes_and_clears_all_connections_of_a_user() -> None:
    place = await Place().start()
    sinks: list[RecordingSink] = []
    for _ in range(2):
        session, sink = place.connect("ann")
        place.hub.join(session, "lobby")
        sinks.append(sink)
    bob, bob_sink = place.connect("bob")
    place.hub.join(bob, "lobby")
    assert place.hub.kick("ann", CloseCode.KICKED, "rude") == 2
    assert [sink.closes for sink in sinks] == [[(CloseCode.KICKED, "rude")]] * 2
    assert place.hub.user("ann") is None
    assert list(place.hub.members("lobby")) == [bob]
    assert bob_sink.closes == []
    assert place.hub.kick("ann", CloseCode.KICKED) == 0


@pytest.mark.parametrize("seed", range(5))
async def test_whatever_people_do_nothing_is_left_when_all_are_gone(seed: int) -> None:
    chance = random.Random(seed)
    diary: list[tuple[str, ...]] = []
    place = await Place(plugins=[Witness(diary)]).start()
    here: list[Session] = []
    for step in range(200):
        if not here or chance.random() < 0.2:
            here.append(place.connect(chance.choice([None, "ann", "bob"]))[0])
        session = chance.choice(here)
        room = chance.choice(["lobby", "tea", "work"])
        match chance.randrange(6):
            case 0 | 1:
                place.hub.join(session, room)
            case 2:
                place.hub.leave(session, room)
            case 3:
                here.remove(session)
                place.hub.drop(session)
            case 4:
                place.hub.publish(room, "message", {"step": step}, author=session)
            case _:
                place.hub.identify(session, Identity(user=chance.choice(["ann", "cat", "dan"])))
        if chance.random() < 0.3:
            place.crank.turn()
    for session in here:
        place.hub.drop(session)
    assert place.is_empty
    counts = [sum(entry[1] == kind for entry in diary) for kind in ("join", "leave")]
    assert counts[0] == counts[1] > 0


# Hooks


async def test_hooks_are_called_in_the_order_of_the_plugins() -> None:
    diary: list[tuple[str, ...]] = []
    place = await Place(plugins=[Witness(diary, "first"), Witness(diary, "second")]).start()
    ann, _ = place.connect()
    place.hub.join(ann, "lobby")
    await place.hub.claim_name(ann, "Ann")
    await place.hub.claim_name(ann, "Anna")
    place.hub.leave(ann, "lobby")
    place.hub.drop(ann)
    assert [entry[:2] for entry in diary] == [
        (name, kind)
        for kind in ("connect", "join", "rename", "leave", "disconnect")
        for name in ("first", "second")
    ]


async def test_a_hook_that_fails_is_logged_and_harms_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    diary: list[tuple[str, ...]] = []
    place = await Place(plugins=[Broken(NoConfig()), Witness(diary)]).start()
    ann, _ = place.connect()
    assert place.hub.join(ann, "lobby") == 1
    await place.hub.claim_name(ann, "Ann")
    assert await place.hub.claim_name(ann, "Anna") == "Ann"
    place.hub.drop(ann)
    kinds = ["connect", "join", "rename", "leave", "disconnect"]
    assert [entry[1] for entry in diary] == kinds
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [record.getMessage() for record in errors] == [
        f"Broken.on_{kind} failed" for kind in kinds
    ]
    assert all(record.exc_info for record in errors)
    assert place.is_empty


async def test_a_plugin_announces_comings_and_goings_from_its_hooks() -> None:
    crier = Crier(NoConfig())
    place = await Place(plugins=[crier]).start()
    crier.hub = place.hub
    ann, ann_sink = place.connect()
    bob, bob_sink = place.connect()
    for session in (ann, bob):
        place.hub.join(session, "lobby")
    place.hub.leave(bob, "lobby")
    place.crank.turn()
    seen = [
        [(event["action"], event["who"]) for event in sink.events] for sink in (ann_sink, bob_sink)
    ]
    assert seen == [
        [("came", "c1"), ("came", "c2"), ("went", "c2")],
        [("came", "c2")],
    ]


# Events


async def test_an_event_tells_what_where_who_and_when() -> None:
    place = await Place().start()
    ann, ann_sink = place.connect("ann-id")
    await place.hub.claim_name(ann, "Ann")
    place.hub.join(ann, "lobby")
    published = await place.hub.publish(
        "lobby", "message", {"text": "hi", "n": [1]}, author=ann, cid="c-1"
    )
    place.crank.turn()
    (event,) = ann_sink.events
    assert event.pop("timestamp") == published.timestamp
    assert event == {
        "action": "message",
        "room": "lobby",
        "text": "hi",
        "n": [1],
        "username": "Ann",
        "sender": "ann-id",
        "cid": "c-1",
    }
    assert published == Published("lobby", published.timestamp, cid="c-1")
    assert datetime.fromisoformat(published.timestamp).utcoffset() is not None


async def test_the_server_s_own_events_have_no_sender() -> None:
    place = await Place().start()
    ann, ann_sink = place.connect()
    place.hub.join(ann, "lobby")
    place.hub.publish("lobby", "notification", {})
    place.crank.turn()
    (event,) = ann_sink.events
    assert set(event) == {"action", "room", "timestamp"}


@pytest.mark.parametrize("field", sorted(RESERVED))
async def test_what_only_the_server_sets_is_refused(field: str) -> None:
    place = await Place().start()
    ann, ann_sink = place.connect("ann")
    place.hub.join(ann, "lobby")
    with pytest.raises(ValueError, match=field):
        place.hub.publish("lobby", "message", {"text": "hi", field: "x"})
    if field not in ABOUT:
        with pytest.raises(ValueError, match=field):
            place.hub.publish_to("ann", "message", **{"text": "hi", field: "x"})
        with pytest.raises(ValueError, match=field):
            place.hub.publish_to("nobody", "message", **{field: "x"})
    place.crank.turn()
    assert ann_sink.events == []


async def test_what_belongs_nowhere_is_refused() -> None:
    """A room without a name could not be imported again, and what has no target erased all."""
    place = await Place().start()
    with pytest.raises(ValueError, match="a room needs a name"):
        place.hub.publish("", "message", {"text": "hi"})
    with pytest.raises(ValueError, match="needs its offset as `target`"):
        place.hub.publish("lobby", "delete", {}, erases=True)


async def test_an_event_to_a_user_may_say_what_it_is_about_and_spare_who_knows() -> None:
    place = await Place().start()
    knows, silent = place.connect("ann")
    _, sink = place.connect("ann")
    assert place.hub.publish_to("ann", "read", knows, room="lobby", offset=7) == 1
    assert place.hub.publish_to("bob", "read", knows, room="lobby", offset=7) == 0
    (event,) = sink.events
    assert (event["room"], event["offset"]) == ("lobby", 7)
    assert silent.events == []


def test_the_reserved_fields_are_the_protocol_s() -> None:
    protocol = "action, type, id, room, offset, epoch, cid, sender, username, timestamp"
    assert set(protocol.split(", ")) == RESERVED


async def test_an_event_that_is_too_large_is_refused_whole() -> None:
    place = await Place(Config(limits=LimitsConfig(max_frame_out=1024))).start()
    ann, ann_sink = place.connect("ann")
    place.hub.join(ann, "lobby")
    for text in ("x" * 1024, "ä" * 512):
        with pytest.raises(ActionError, match="896 bytes") as caught:
            place.hub.publish("lobby", "message", {"text": text})
        assert caught.value.code == "too_large"
        with pytest.raises(ActionError, match="1024 bytes"):
            place.hub.publish_to("ann", "message", text=text)
    place.hub.publish("lobby", "message", {"text": "x" * 800})
    place.crank.turn()
    assert [len(str(event["text"])) for event in ann_sink.events] == [800]


async def test_publishing_where_nobody_is_is_no_mistake() -> None:
    place = await Place().start()
    published = await place.hub.publish("nowhere", "message", {"text": "hi"})
    assert published.room == "nowhere"
    assert place.crank.calls == []


async def test_members_get_the_events_of_their_own_rooms_only() -> None:
    place = await Place().start()
    ann, ann_sink = place.connect()
    bob, bob_sink = place.connect()
    place.hub.join(ann, "lobby")
    place.hub.join(ann, "tea")
    place.hub.join(bob, "tea")
    for room in ("lobby", "tea", "work"):
        place.hub.publish(room, "message", {})
    place.crank.turn()
    assert [event["room"] for event in ann_sink.events] == ["lobby", "tea"]
    assert [event["room"] for event in bob_sink.events] == ["tea"]


async def test_what_is_ephemeral_may_be_dropped_for_slow_readers() -> None:
    place = await Place().start()
    ann, ann_sink = place.connect()
    place.hub.join(ann, "lobby")
    place.hub.publish("lobby", "typing", {}, ephemeral=True)
    place.hub.publish("lobby", "message", {})
    place.crank.turn()
    assert [event["action"] for event in ann_sink.events] == ["typing", "message"]
    (essential,) = ann_sink.essential
    assert essential is not None
    assert b"typing" not in essential
    assert ann_sink.writes[0].endswith(essential)


async def test_a_user_s_connections_are_reached_wherever_they_are() -> None:
    place = await Place().start()
    sinks = [place.connect("ann")[1] for _ in range(2)]
    _, other = place.connect("bob")
    assert place.hub.publish_to("ann", "read", target=7) == 2
    assert place.hub.publish_to("nobody", "read", target=7) == 0
    for sink in sinks:
        (event,) = sink.events
        assert (event["action"], event["target"]) == ("read", 7)
        assert set(event) == {"action", "target", "timestamp"}
    assert other.events == []


async def test_a_broadcast_is_plain_text_for_everybody_who_is_there() -> None:
    place = await Place().start()
    _, ann_sink = place.connect()
    place.hub.broadcast("hällo")
    bob, bob_sink = place.connect()
    place.hub.broadcast("again")
    place.crank.turn()
    place.hub.drop(bob)
    place.hub.broadcast("once more")
    place.crank.turn()
    assert ann_sink.texts == ["hällo", "again", "once more"]
    assert bob_sink.texts == ["again"]


async def test_who_is_not_admitted_yet_hears_no_broadcast() -> None:
    place = await Place().start()
    late, late_sink = place.connect(admitted=False)
    gone, gone_sink = place.connect(admitted=False)
    place.hub.broadcast("before")
    place.hub.identify(late, Identity(user="late"))
    place.hub.drop(gone)
    place.hub.broadcast("after")
    place.crank.turn()
    assert (late_sink.texts, gone_sink.texts) == (["after"], [])
    assert late.admitted


async def test_events_and_deliveries_are_counted() -> None:
    place = await Place().start()
    for _ in range(3):
        session, _ = place.connect("ann")
        place.hub.join(session, "lobby")
    place.hub.publish("lobby", "message", {})
    place.hub.publish("nowhere", "message", {})
    place.hub.publish_to("ann", "note")
    place.hub.broadcast("hello")
    place.crank.turn()
    assert (place.stats.events, place.stats.deliveries) == (3, 9)


class Numbering(MemoryBroker):
    """Give each publication a position, as a broker with a history does."""

    def __init__(self) -> None:
        super().__init__()
        self.top = 0
        self.seen: list[Publication] = []

    async def startup(self, deliver: Deliver) -> None:
        self.hand_on = deliver
        await super().startup(deliver)

    def publish(self, publication: Publication) -> Pending[Published]:
        self.top += 1
        self.seen.append(publication)
        position = Position("e", self.top)
        self.hand_on(publication.room, [(publication, position)])
        return Pending.done(Published(publication.room, publication.timestamp, position))


async def test_a_publication_with_a_position_carries_its_offset() -> None:
    broker, crank = Numbering(), Crank()
    hub = LocalHub(Config(), Place().hub.data_dir, broker, [], crank, Stats())
    await hub.startup()
    ann, sink = Session("c1", Identity(user="ann"), ""), RecordingSink()
    ann.sink = sink
    hub.attach(ann)
    hub.join(ann, "lobby")
    for text in ("a", "b"):
        published = await hub.publish("lobby", "message", {"text": text}, author=ann, cid=text)
    hub.publish("elsewhere", "message", {})
    crank.turn()
    assert [(event["text"], event["offset"]) for event in sink.events] == [("a", 1), ("b", 2)]
    assert published.position == Position("e", 2)
    assert [(each.user, each.cid, each.room) for each in broker.seen] == [
        ("ann", "a", "lobby"),
        ("ann", "b", "lobby"),
        (None, None, "elsewhere"),
    ]
    assert all(b"offset" not in each.body for each in broker.seen)
    assert text_frame(broker.seen[0].body[:-1] + b',"offset":1}') in sink.writes[0]


async def test_a_long_run_of_a_room_is_written_within_the_bound_of_what_is_pending() -> None:
    broker, crank, stats = Numbering(), Crank(), Stats()
    hub = LocalHub(Config(), Place().hub.data_dir, broker, [], crank, stats)
    await hub.startup()
    ann, sink = Session("c1", Identity(user="ann"), ""), RecordingSink()
    ann.sink = sink
    hub.attach(ann)
    hub.join(ann, "lobby")
    body = b'{"text":"%b"}' % (b"x" * 20_000)
    run = [(Publication("lobby", body, ""), Position("e", offset)) for offset in range(1, 65)]
    broker.hand_on("lobby", run)
    crank.turn()
    assert [event["offset"] for event in sink.events] == list(range(1, 65))
    assert max(map(len, sink.writes)) < EARLY + 21_000
    assert (stats.events, stats.deliveries) == (64, 64)


async def test_time_is_told_in_the_wire_s_form() -> None:
    place = Place()
    assert datetime.fromisoformat(place.hub.timestamp()).utcoffset() is not None
    assert len(place.hub.timestamp()) == len("2026-11-22T10:41:41.123Z")
