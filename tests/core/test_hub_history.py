"""The hub over a broker that keeps histories: retries, offsets and what is not stored."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chatserver.broker.embedded import EmbeddedBroker
from chatserver.config import Config
from chatserver.errors import ActionError
from chatserver.guard import Guard
from chatserver.hub import LocalHub
from chatserver.session import Identity, Session
from chatserver.stats import Stats
from chatserver.store.sqlite import SqliteStore
from tests.core.sinks import Crank, RecordingSink


class Place:
    """Have a hub with one room that is kept, and one member in it."""

    def __init__(self, path: Path) -> None:
        self.crank = Crank()
        self.broker = EmbeddedBroker(SqliteStore(path))
        self.hub = LocalHub(Config(), path.parent, self.broker, [], self.crank, Stats())
        self.ann = Session("c1", Identity(user="ann"), "")
        self.sink = RecordingSink()
        self.ann.sink = self.sink

    async def start(self) -> "Place":
        await self.hub.startup()
        self.hub.attach(self.ann)
        self.hub.join(self.ann, "lobby")
        return self


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    place = await Place(tmp_path / "chat.db").start()
    yield place
    await place.hub.cleanup()


async def test_a_message_is_delivered_with_the_offset_it_is_stored_under(place: Place) -> None:
    for text in ("a", "b"):
        sent = await place.hub.publish("lobby", "message", {"text": text}, author=place.ann)
    place.crank.turn()
    assert [(event["text"], event["offset"]) for event in place.sink.events] == [("a", 1), ("b", 2)]
    page = await place.broker.publications("lobby", after=0, limit=10, max_bytes=10_000)
    assert page is not None
    assert sent.position is not None
    assert (page.state.epoch, page.last) == (sent.position.epoch, sent.position.offset)
    assert [each.kind for each in page.publications] == ["message", "message"]
    assert b"offset" not in page.publications[0].body


async def test_a_retry_is_told_where_the_first_one_is_and_nobody_hears_it(place: Place) -> None:
    first = await place.hub.publish("lobby", "message", {"text": "hi"}, author=place.ann, cid="c")
    await place.hub.claim_name(place.ann, "Ann")
    again = await place.hub.publish("lobby", "message", {"text": "hi"}, author=place.ann, cid="c")
    assert again.duplicate
    assert (again.position, again.timestamp) == (first.position, first.timestamp)
    place.crank.turn()
    assert len(place.sink.events) == 1


@pytest.mark.parametrize(
    ("event", "fields"),
    [
        ("message", {"text": "ho"}),
        ("message", {"text": "hi", "reply_to": 1}),
        ("edit", {"text": "hi"}),
    ],
)
async def test_a_cid_stands_for_one_event(
    place: Place, event: str, fields: dict[str, object]
) -> None:
    await place.hub.publish("lobby", "message", {"text": "hi"}, author=place.ann, cid="c")
    with pytest.raises(ActionError) as caught:
        await place.hub.publish("lobby", event, fields, author=place.ann, cid="c")
    assert caught.value.code == "conflict"


async def test_a_cid_stands_for_all_that_was_written_and_for_nothing_else(place: Place) -> None:
    stamped = ',"timestamp":"'
    first = {"text": stamped, "when": {"zone": "UTC", "timestamp": "10:41"}}
    other = {"text": stamped, "when": {"zone": "UTC", "timestamp": "10:42"}}
    await place.hub.publish("lobby", "message", first, author=place.ann, cid="c")
    await place.hub.claim_name(place.ann, f"Ann{stamped}")
    assert (await place.hub.publish("lobby", "message", first, author=place.ann, cid="c")).duplicate
    with pytest.raises(ActionError) as caught:
        await place.hub.publish("lobby", "message", other, author=place.ann, cid="c")
    assert caught.value.code == "conflict"


async def test_comings_and_goings_have_no_place_in_the_history(place: Place) -> None:
    noticed = await place.hub.publish("lobby", "notification", {"event": "join"}, stored=False)
    assert noticed.position is None
    sent = await place.hub.publish("lobby", "message", {"text": "hi"}, author=place.ann)
    assert sent.position is not None
    assert sent.position.offset == 1
    place.crank.turn()
    assert [event["action"] for event in place.sink.events] == ["notification", "message"]


async def test_a_change_names_its_target_and_takes_its_own_place(place: Place) -> None:
    await place.hub.publish("lobby", "message", {"text": "hi"}, author=place.ann)
    changed = await place.hub.publish("lobby", "edit", {"text": "ho"}, author=place.ann, target=1)
    assert changed.position is not None
    assert changed.position.offset == 2
    place.crank.turn()
    event = place.sink.events[-1]
    assert (event["action"], event["target"], event["text"]) == ("edit", 1, "ho")
    await place.hub.publish("lobby", "delete", {}, author=place.ann, target=1, erases=True)
    page = await place.broker.publications("lobby", after=0, limit=10, max_bytes=10_000)
    assert page is not None
    assert [bool(each.body) for each in page.publications] == [False, False, True]
    with pytest.raises(ActionError) as caught:
        await place.hub.publish(
            "lobby", "edit", {"text": "hu"}, author=place.ann, target=3, guard=Guard(kind="message")
        )
    assert caught.value.code == "not_found"
