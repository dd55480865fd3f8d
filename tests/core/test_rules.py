"""How rooms are kept and who may do what in them, from the configuration on."""

from pathlib import Path

import pytest

from chatserver.broker.embedded import EmbeddedBroker
from chatserver.broker.memory import MemoryBroker
from chatserver.config.load import Settings
from chatserver.errors import ConfigError
from chatserver.pairs import direct_room
from chatserver.publications import Durability, Keeping
from chatserver.registry import load_broker
from chatserver.rights import Grant, Right, Rights
from chatserver.rules import REMEMBERED, RoomRules
from chatserver.session import Identity

ALICE = Identity(user="alice")
BOB = Identity(user="bob")
GUEST = Identity(user="guest:1", guest=True)
BOSS = Identity(user="boss", rights=Rights([Grant("*", frozenset(Right))]))
DEAF = Identity(user="deaf", rights=Rights([Grant("*", frozenset({Right.WRITE}))]))


def settings(**data: object) -> Settings:
    return Settings.from_data(data)


def rules(*rooms: dict[str, object]) -> RoomRules:
    return RoomRules(settings(rooms=list(rooms)).config.rooms)


def allowing(found: RoomRules, right: Right, room: str) -> set[str]:
    everybody = (ALICE, BOB, GUEST, BOSS, DEAF)
    return {each.user for each in everybody if found.allows(each, right, room)}


def test_rooms_are_kept_for_ever_unless_something_else_is_said() -> None:
    assert RoomRules().keeping("lobby") == Keeping()
    assert Keeping() == Keeping(Durability.FULL, None, None)


def test_the_first_entry_that_matches_counts() -> None:
    keeping = rules(
        {"match": "tmp-secret", "durability": "none"},
        {"match": "tmp-*", "durability": "memory", "length": 100},
        {"match": "*-log", "durability": "relaxed", "age": 3600},
        {"match": "tmp-log", "length": 7},
    ).keeping
    assert keeping("tmp-secret") == Keeping(Durability.NONE)
    assert keeping("tmp-log") == Keeping(Durability.MEMORY, 100)
    assert keeping("door-log") == Keeping(Durability.RELAXED, None, 3600)
    assert keeping("door-logs") == Keeping()
    assert keeping("a.tmp-x") == Keeping()


def test_rooms_beyond_those_remembered_follow_their_rules() -> None:
    found = rules({"match": "tmp-*", "durability": "memory"})
    for number in range(REMEMBERED + 2):
        found.find(f"tmp-{number}")
    assert found.keeping("tmp-0") == found.keeping("tmp-new") == Keeping(Durability.MEMORY)
    assert found.keeping("lobby") == Keeping()
    assert len(found._found) <= REMEMBERED


@pytest.mark.parametrize(
    ("room", "allowed", "durability"),
    [
        (direct_room("alice", "guest:1"), "alice guest:1", "memory"),
        (direct_room("deaf", "zoe"), "deaf", "memory"),
        (direct_room("alice", "z" * 255), "alice", "memory"),
        ("dm:alice", "", "none"),
        ("dm:bob:alice", "", "none"),
        ("dm:", "", "none"),
    ],
)
def test_a_direct_room_belongs_to_two_whatever_rules_and_rights_say(
    room: str, allowed: str, durability: str
) -> None:
    found = rules({"match": "*", "read": "nobody", "moderate": "everyone", "durability": "memory"})
    for right in (Right.JOIN, Right.READ, Right.WRITE):
        assert allowing(found, right, room) == set(allowed.split())
    assert allowing(found, Right.MODERATE, room) == set()
    assert found.keeping(room) == Keeping(Durability(durability))


def test_long_names_take_no_memory() -> None:
    found = rules()
    for number in range(100):
        for room in (f"dm:{number}" + "x" * 65_000, direct_room("alice", f"{number:0255}")):
            found.find(room)
    assert not found._found


@pytest.mark.parametrize(
    ("who", "allowed"),
    [
        (None, "alice bob guest:1 boss"),
        ("everyone", "alice bob guest:1 boss"),
        ("users", "alice bob boss"),
        ("nobody", ""),
        ([], ""),
        (["alice", "deaf"], "alice"),
        (["users"], ""),
    ],
    ids=str,
)
@pytest.mark.parametrize("right", ["join", "read"])
def test_a_rule_narrows_what_rights_allow(right: str, who: object, allowed: str) -> None:
    found = rules({"match": "club", right: who})
    assert allowing(found, Right(right), "club") == set(allowed.split())
    assert allowing(found, Right(right), "pub") == {"alice", "bob", "guest:1", "boss"}
    assert allowing(found, Right.WRITE, "club") == {"alice", "bob", "guest:1", "boss", "deaf"}


@pytest.mark.parametrize(
    ("who", "allowed"),
    [
        (None, "boss"),
        ("nobody", "boss"),
        (["alice"], "boss alice"),
        ("users", "boss alice bob deaf"),
        ("everyone", "boss alice bob deaf guest:1"),
    ],
    ids=str,
)
def test_a_rule_makes_moderators(who: object, allowed: str) -> None:
    found = rules({"match": "club", "moderate": who})
    assert allowing(found, Right.MODERATE, "club") == set(allowed.split())
    assert allowing(found, Right.MODERATE, "pub") == {"boss"}


def test_only_the_first_entry_says_who_may() -> None:
    found = rules({"match": "news-open"}, {"match": "news-*", "write": "nobody"})
    assert found.allows(ALICE, Right.WRITE, "news-open")
    assert not found.allows(ALICE, Right.WRITE, "news-sport")


@pytest.mark.parametrize(
    ("room", "words"),
    [
        ({"durability": "full"}, "match"),
        ({"match": ""}, "match"),
        ({"match": "*", "durability": "ful"}, "did you mean 'full'"),
        ({"match": "*", "lenght": 3}, "did you mean 'length'"),
        ({"match": "*", "length": 0}, "length"),
        ({"match": "*", "age": 0}, "age"),
        ({"match": "*", "durability": "memory", "age": 60}, "give a `length` instead of `age`"),
        ({"match": "*", "recovery_limit": 0}, "recovery_limit"),
        ({"match": "*", "write": "evryone"}, "did you mean 'everyone'"),
        ({"match": "*", "write": [7]}, r"write\[0\]: must be a string"),
    ],
    ids=str,
)
def test_mistakes_are_found(room: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        settings(rooms=[room])
    assert "rooms" in str(caught.value)


def test_brokers_are_made_without_touching_anything(tmp_path: Path) -> None:
    server = {"data_dir": str(tmp_path / "data")}
    assert isinstance(load_broker(settings(server=server)), EmbeddedBroker)
    assert isinstance(load_broker(settings(server=server, broker="memory")), MemoryBroker)
    assert not (tmp_path / "data").exists()


def test_a_broker_that_keeps_nothing_promises_nothing() -> None:
    open_room = {"match": "news", "durability": "none", "write": ["alice"]}
    assert isinstance(load_broker(settings(broker="memory", rooms=[open_room])), MemoryBroker)
    with pytest.raises(ConfigError, match="write `broker: embedded`") as caught:
        load_broker(settings(broker="memory", rooms=[open_room, {"match": "*"}]))
    assert caught.value.where == "broker"
