"""The terminal client as the program it is: through pipes, and on a terminal."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.scripted import Scripted
from tests.e2e.callers import call, configure
from tests.e2e.process import CommandLine, ServerProcess, run
from tests.e2e.terminals import Terminal

WITHIN = 40


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("terminal")
    config = configure(folder, broker="embedded", middlewares=["size_limit"])
    with ServerProcess(config) as server:
        yield server


def command(url: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "chatserver", "client", url, *arguments]


def chat(url: str, *lines: str, arguments: tuple[str, ...] = ()) -> tuple[int, str, str]:
    """Hand lines to the client through a pipe; return its exit code and what it printed."""
    ran = run("client", url, *arguments, given="".join(f"{line}\n" for line in lines))
    return ran.returncode, ran.stdout, ran.stderr


def said(url: str, room: str, *lines: str, name: str = "alice") -> str:
    """Say and ask something in a room; return the answers."""
    code, out, err = chat(url, *lines, arguments=("--name", name, "--room", room))
    assert code == 0, err
    # Who has said it all leaves at once, perhaps before being told of its own coming.
    return out.replace(f"** {name} joined {room} **\n", "")


def test_the_formats_of_the_guide(server: ServerProcess) -> None:
    """What a room is told and what is answered come in order, each for itself."""
    lines = said(server.ws, "formats", "Hello!", "/rooms", "/nick alicia", "/who").splitlines()
    told = [line for line in lines if line.startswith(("[", "**"))]
    assert told == ["[formats] alice: Hello!", "** alice is now alicia **"]
    assert [line for line in lines if line not in told] == [
        "Active rooms:",
        " formats: 1 user(s)",
        "Registered as alicia",
        "formats: 1 user(s): alicia",
    ]


def test_messages_are_changed_and_found(server: ServerProcess) -> None:
    typed = ["helo", "/edit hello", "/react +1", "/react #1 -+1", "second", "/delete", "/delete"]
    lines = said(server.ws, "changes", *typed, "/history", "/search hello").splitlines()
    told = [line for line in lines if line.startswith("[")]
    assert told == [
        "[changes] alice: helo",
        "[changes] #1 is now: hello",
        "[changes] #1 has +1 1",
        "[changes] #1 has no reactions",
        "[changes] alice: second",
        "[changes] #5 was deleted",
        "[changes] #1 was deleted",
    ]
    assert [line for line in lines if line not in told] == [
        "#1 [changes] (deleted)",
        "#5 [changes] (deleted)",
        "Nothing found",
    ]


def test_what_is_typed_is_said_in_its_order(server: ServerProcess) -> None:
    """Much more than may be on its way at once, and it leaves when all is stored."""
    lines = [f"line {number}" for number in range(300)]
    out = said(server.ws, "order", *lines)
    assert out.splitlines() == [f"[order] alice: {line}" for line in lines]
    history = said(server.ws, "order", "/history 250", name="bob").splitlines()
    assert history == [f"#{number + 1} [order] alice: line {number}" for number in range(50, 300)]


def test_hostile_texts_are_shown_as_text(server: ServerProcess) -> None:
    with CommandLine("client", server.ws, "--name", "carl", "--room", "hostile") as client:
        client.err.expect("In room hostile")
        with call(server.ws) as eve:
            eve.enter("eve", "hostile")
            eve.ask("message", text="\x1b[2J\x9b31m\u202egnp\n** root joined hostile **")
        client.out.expect(
            r"^\[hostile\] eve: \\x1b\[2J\\x9b31m\\u202egnp\\n\*\* root joined hostile \*\*$"
        )


def test_users_write_to_each_other(server: ServerProcess) -> None:
    with CommandLine("client", server.ws, "--name", "dora", "--room", "direct") as dora:
        dora.err.expect("In room direct")
        with CommandLine("client", server.ws, "--name", "emil", "--room", "direct") as emil:
            emil.err.expect("In room direct")
            emil.write("/msg dora Psst!")
            dora.out.expect(r"^\[dm:emil\] emil: Psst!$")
            emil.out.expect(r"^\[dm:dora\] emil: Psst!$")
            emil.write("to all")
            dora.out.expect(r"^\[direct\] emil: to all$")
            dora.write("/join dm:emil")
            dora.write("What?")
            emil.out.expect(r"^\[dm:dora\] dora: What\?$")
            emil.write("/msg nobody hello")
            emil.out.expect("^Error: Nobody called nobody was seen")


def test_quit_does_not_wait_for_the_next_line(server: ServerProcess) -> None:
    with CommandLine("client", server.ws, "--name", "fred") as client:
        client.err.expect("In room lobby")
        client.write("/quit")
        assert client.wait(WITHIN) == 0


def test_a_server_that_is_killed_is_told_and_waited_for(tmp_path: Path) -> None:
    with (
        ServerProcess(configure(tmp_path)) as server,
        CommandLine("client", server.ws, "--name", "gina") as client,
    ):
        client.err.expect("In room lobby")
        server.signal(signal.SIGKILL)
        server.wait()
        client.err.expect(r"^-- trying again in \d\.\d s")
        client.write("too late")
        client.write("/quit")
        assert client.wait(WITHIN) == 1
        assert "1 typed line(s) were not acknowledged" in client.stderr


async def test_it_leaves_when_the_server_has_closed_for_good() -> None:
    async with Scripted() as server:
        server.answers["register"] = lambda _: {"action": "registered", "username": "hans"}
        async with CommandLine("client", server.url, "--name", "hans") as client:
            await server.request("join")
            await server.close(3503, "kicked")
            assert await client.ended() == 1
            assert client.stderr.endswith("-- The conversation is over: kicked (3503)\n")


def test_a_name_is_needed_and_refused_in_one_line(server: ServerProcess) -> None:
    assert chat(server.ws, "hi") == (2, "", "chatserver: say who you are with --name NAME\n")
    code, out, err = chat(server.ws, "hi", arguments=("--name", "a\x1bb"))
    assert (code, out) == (1, "")
    assert err.splitlines()[-1].startswith("-- The username contains U+001B")


def test_no_address_of_a_chat() -> None:
    code, _, err = chat("ftp://chat", arguments=("--name", "ida"))
    assert (code, err.count("\n")) == (2, 1)
    code, _, err = chat("ws://127.0.0.1:1/ws", "hi", arguments=("--name", "ida"))
    assert code == 1
    assert err.splitlines()[-1] == "-- 1 typed line(s) were not acknowledged"


def test_a_token_comes_from_the_environment_and_a_guest_from_a_file(
    server: ServerProcess, tmp_path: Path
) -> None:
    file = tmp_path / "guest"
    arguments = ("--name", "kim", "--room", "guests", "--guest-file", str(file))
    assert chat(server.ws, "first", arguments=arguments)[0] == 0
    # The same user may change what was said before.
    code, out, _ = chat(server.ws, "/edit #1 changed", "/history", arguments=arguments)
    assert code == 0
    assert "#1 [guests] kim: changed (edited)" in out
    config = configure(
        tmp_path,
        middlewares=[{"auth": {"tokens": [{"token": "secret", "user": "u1", "name": "Uma"}]}}],
    )
    with ServerProcess(config) as guarded:
        env = {"CHATSERVER_TOKEN": "secret"}
        with CommandLine("client", guarded.ws, env=env) as client:
            client.err.expect("^-- Connected as Uma$")
        code, _, err = chat(guarded.ws, "hi", arguments=("--token", "wrong"))
        assert code == 1
        assert "The token is missing, wrong or expired (HTTP 401)" in err


def test_on_a_terminal(server: ServerProcess) -> None:
    """It asks for the name, and `/quit` is the end although nobody presses a key any more."""
    with Terminal(command(server.ws, "--plain", "--room", "pty")) as terminal:
        terminal.expect("Enter your username: ")
        terminal.write("lena\n")
        terminal.expect("In room pty")
        terminal.write("Hello!\n")
        terminal.expect(r"\[pty\] lena: Hello!")
        terminal.write("/quit\n")
        assert terminal.ended() == 0


def test_a_long_history_is_read_with_a_bar_on_a_terminal_only(server: ServerProcess) -> None:
    lines = [f"line {number}." for number in range(1, 301)]
    said(server.ws, "long", *lines)
    told = [f"#{number} [long] alice: {line}" for number, line in enumerate(lines, 1)]
    client = command(server.ws, "--plain", "--name", "rita", "--room", "long")
    with Terminal(client) as terminal:
        terminal.expect("In room long")
        terminal.write("/history 1000\n")
        terminal.expect(r"\rReading back \[#{9} {21}\]  30%")
        terminal.expect(r"\r\x1b\[K" + re.escape(told[0]))
        terminal.expect(re.escape(told[-1]))
        terminal.write("/quit\n")
        assert terminal.ended() == 0
    arguments = ("--name", "sven", "--room", "long")
    code, out, err = chat(server.ws, "/history 1000", arguments=arguments)
    assert code == 0
    assert [line for line in out.splitlines() if not line.startswith("**")] == told
    assert "Reading back" not in err
    assert not {"\r", "\x1b"}.intersection(out + err)


def test_without_textual_it_says_how_to_get_it_and_goes_on_by_lines(server: ServerProcess) -> None:
    missing = "import sys; sys.modules.update(textual=None)"
    code = f"{missing}; from chatserver.cli import main; sys.exit(main())"
    client = [sys.executable, "-c", code, *command(server.ws, "--name", "paul")[3:]]
    with Terminal(client) as terminal:
        terminal.expect(r"Textual is not installed.*`pip install 'chatserver\[tui\]'`")
        terminal.expect("In room lobby")
        terminal.write("/quit\n")
        assert terminal.ended() == 0


def test_whoever_reads_it_may_go_away(server: ServerProcess) -> None:
    client = f"'{sys.executable}' -m chatserver client {server.ws} --name nina --room gone"
    ran = subprocess.run(
        ["sh", "-c", f"yes | {client} | head -1"],
        capture_output=True,
        text=True,
        timeout=WITHIN,
        check=False,
    )
    assert ran.stdout == "** nina joined gone **\n"
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize("no_color", ["", "1"])
def test_the_full_screen_respects_no_color(server: ServerProcess, no_color: str) -> None:
    env = {"NO_COLOR": no_color} if no_color else {}
    env |= {"COLUMNS": "80", "LINES": "24"}
    with Terminal(command(server.ws, "--name", f"olga{no_color}"), env=env) as terminal:
        terminal.expect("connected as olga")
        terminal.write("/quit\r")
        assert terminal.ended() == 0
    colours = re.search(r"\x1b\[(\d+;)*([34][0-8]|9[0-7]|10[0-7])[;m]", terminal.shown)
    assert (colours is None) == bool(no_color)
