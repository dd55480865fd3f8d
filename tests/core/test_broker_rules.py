"""How rooms are kept, from the configuration to the broker."""

from pathlib import Path

import pytest

from chatserver.broker.embedded import EmbeddedBroker
from chatserver.broker.memory import MemoryBroker
from chatserver.broker.rules import rules_of
from chatserver.config.load import Settings
from chatserver.errors import ConfigError
from chatserver.publications import Durability, Keeping
from chatserver.registry import load_broker


def settings(**data: object) -> Settings:
    return Settings.from_data(data)


def test_rooms_are_kept_for_ever_unless_something_else_is_said() -> None:
    assert rules_of(settings().config.rooms)("lobby") == Keeping()
    assert Keeping() == Keeping(Durability.FULL, None, None)


def test_the_first_entry_that_matches_counts() -> None:
    rules = rules_of(
        settings(
            rooms=[
                {"match": "tmp-secret", "durability": "none"},
                {"match": "tmp-*", "durability": "memory", "length": 100},
                {"match": "*-log", "durability": "relaxed", "age": 3600},
                {"match": "tmp-log", "length": 7},
            ]
        ).config.rooms
    )
    assert rules("tmp-secret") == Keeping(Durability.NONE)
    assert rules("tmp-log") == Keeping(Durability.MEMORY, 100)
    assert rules("door-log") == Keeping(Durability.RELAXED, None, 3600)
    assert rules("door-logs") == Keeping()
    assert rules("a.tmp-x") == Keeping()


@pytest.mark.parametrize(
    ("room", "words"),
    [
        ({"durability": "full"}, "match"),
        ({"match": ""}, "match"),
        ({"match": "*", "durability": "ful"}, "did you mean 'full'"),
        ({"match": "*", "lenght": 3}, "did you mean 'length'"),
        ({"match": "*", "length": 0}, "length"),
        ({"match": "*", "age": 0}, "age"),
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


def test_a_broker_that_keeps_nothing_takes_no_rules() -> None:
    with pytest.raises(ConfigError, match="write `broker: embedded`") as caught:
        load_broker(settings(broker="memory", rooms=[{"match": "*"}]))
    assert caught.value.where == "broker"
