"""SIGHUP: new limits, origins, tokens and log settings for the connections that are there."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus

from tests.e2e.callers import LOOPS, Caller, call, configure
from tests.e2e.process import ServerProcess

ALICE = {"token": "token-of-alice", "user": "alice", "name": "alice"}
BOB = {"token": "token-of-bob", "user": "bob", "name": "bob"}
APP = "https://app.example.com"


class Operator:
    """Changes the configuration of a running server."""

    def __init__(self, server: ServerProcess, folder: Path, loop: str) -> None:
        self.server = server
        self._folder = folder
        self._settings: dict[str, object] = {"loop": loop}

    def reload(self, expected: str = r'"configuration reloaded"}$', **sections: object) -> None:
        """Write a configuration, have it read, and wait for what the log says about it."""
        given = sections.pop("server", {})
        assert isinstance(given, dict)
        configure(self._folder, server={**self._settings, **given}, **sections)
        self.signal(expected)

    def signal(self, expected: str) -> None:
        self.server.signal(signal.SIGHUP)
        self.server.err.expect(expected)

    def refusal(self, token: str, **headers: str) -> int:
        """Try to connect, and return the status of the refusal."""
        with (
            pytest.raises(InvalidStatus) as refused,
            call(self.server.ws, headers=bearer(token) | headers),
        ):
            pass
        return refused.value.response.status_code


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def middlewares(
    *tokens: dict[str, str], allow: tuple[str, ...] = (), burst: int = 100
) -> list[object]:
    limit = {"rate": 0.001, "burst": burst}
    return [
        {"origin": {"allow": list(allow)}},
        {"rate_limit": {"connection": limit, "user": None, "ip": None}},
        {"auth": {"tokens": list(tokens)}},
        "size_limit",
    ]


@pytest.fixture
def operator(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Operator]:
    loop = str(getattr(request, "param", "auto"))
    with ServerProcess(
        configure(tmp_path, server={"loop": loop}, middlewares=middlewares(ALICE))
    ) as server:
        yield Operator(server, tmp_path, loop)


@pytest.fixture
def alice(operator: Operator) -> Iterator[Caller]:
    with call(operator.server.ws, headers=bearer("token-of-alice")) as caller:
        yield caller


@pytest.mark.parametrize("operator", LOOPS, indirect=True)
def test_what_a_new_configuration_changes(operator: Operator, alice: Caller) -> None:
    assert operator.refusal("token-of-bob") == 401
    assert operator.refusal("token-of-alice", Origin=APP) == 403
    assert alice.ask("ping")["action"] == "pong"

    operator.reload(middlewares=middlewares(BOB, allow=(APP,), burst=1))
    assert operator.refusal("token-of-alice") == 401
    with call(operator.server.ws, headers=bearer("token-of-bob") | {"Origin": APP}):
        pass
    answers = [alice.ask("ping").get("code", "pong") for _ in range(2)]
    assert answers[-1] == "rate_limited"

    operator.reload(
        "^[^{].* configuration reloaded$",
        middlewares=middlewares(ALICE),
        log={"level": "debug", "format": "human"},
    )
    with call(operator.server.ws, headers=bearer("token-of-alice")):
        pass
    operator.server.err.expect(
        r"^\S+Z DEBUG   chatserver\.connection \[\w+ alice\] closed by the peer: 1000$"
    )
    assert alice.ask("ping")["action"] == "pong"


def test_more_can_be_recovered_than_memory_was_made_for_at_the_start(
    operator: Operator, alice: Caller
) -> None:
    unlimited = middlewares(ALICE, burst=100_000)
    operator.reload(middlewares=unlimited)
    alice.enter("alice")
    for number in range(700):
        alice.send("message", text="hi", id=number)
    while alice.receive().get("id") != 699:
        pass
    epoch = alice.ask("history", room="lobby", limit=1)["epoch"]
    operator.reload(middlewares=unlimited, limits={"recovery_limit": 1000})
    with call(operator.server.ws, headers=bearer("token-of-alice")) as phone:
        joined = phone.ask("join", room="lobby", since={"offset": 0, "epoch": epoch})
    assert joined["recovered"] is True
    messages = joined["messages"]
    assert isinstance(messages, list)
    assert len(messages) == 700


def test_a_wrong_configuration_changes_nothing(
    operator: Operator, alice: Caller, tmp_path: Path
) -> None:
    kept = r'"configuration not reloaded, the old one stays: '
    place = r"[^\"]*config\.yaml:\d+:\d+: "
    operator.reload(
        f"{kept}{place}unknown key 'lvl' in log; did you mean 'level'?",
        middlewares=middlewares(BOB),
        log={"lvl": "debug"},
    )
    operator.reload(
        f"{kept}{place}middlewares.3..size_limit.hard_limit must be an integer",
        middlewares=[*middlewares(BOB)[:-1], {"size_limit": {"hard_limit": "much"}}],
    )
    operator.reload(
        f"{kept}{place}auth: late and anonymous exclude each other",
        middlewares=[
            *middlewares()[:2],
            {"auth": {"late": True, "anonymous": True, "tokens": ["token-of-bob"]}},
            "size_limit",
        ],
    )
    operator.reload(
        f"{kept}{place}adding, removing or moving middlewares needs a restart",
        middlewares=middlewares(BOB)[1:],
    )
    operator.reload(
        f"{kept}.*the TLS certificate .*no.pem cannot be read",
        middlewares=middlewares(BOB),
        server={"tls": {"certificate": "no.pem", "key": "no.pem"}},
    )
    (tmp_path / "config.yaml").write_text("server: [")
    operator.signal(f"{kept}{place}not valid YAML")
    (tmp_path / "config.yaml").unlink()
    operator.signal(f'{kept}[^"]*config.yaml: cannot be read: No such file')

    assert operator.refusal("token-of-bob") == 401
    assert alice.ask("ping")["action"] == "pong"
    assert "Traceback" not in operator.server.stderr
    assert operator.server.stderr.count("not reloaded") == 7


def test_what_needs_a_restart_is_named(operator: Operator, alice: Caller) -> None:
    before = operator.server.url
    for _ in range(2):
        operator.reload(
            "changes of server take effect after a restart",
            middlewares=middlewares(BOB),
            server={"port": 1, "data_dir": "elsewhere"},
            chat={"single_room": True},
            plugins={"echo": False},
        )
        for section in ("chat", "plugins"):
            operator.server.err.expect(f"changes of {section} take effect after a restart")
        operator.server.err.expect("configuration reloaded")
    operator.reload(middlewares=middlewares(BOB))
    assert operator.server.stderr.count("after a restart") == 6
    assert alice.ask("echo", text="still on")["text"] == "still on"
    with call(f"ws{before.removeprefix('http')}/", headers=bearer("token-of-bob")):
        pass
