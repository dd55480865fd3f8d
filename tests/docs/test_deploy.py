"""The sample files for operators do what docs/deploy.md says."""

import ast
import asyncio
import configparser
import json
import logging
import re
import sys
from collections.abc import Mapping
from datetime import datetime

import pytest

from chatserver.cli import BAD_CONFIG, FAILED, OK
from chatserver.config import ServerConfig
from chatserver.logs import HumanFormatter, JsonFormatter
from chatserver.session import Identity, Session
from chatserver.terminal.run import INTERRUPTED
from chatserver.testing import ChatServer
from tests.docs.pages import ROOT, code, page

SAMPLES = ROOT / "examples" / "deploy"
DEPLOY = page("docs/deploy.md")
CHECK_WITHIN = 20


class TestUnit:
    @pytest.fixture
    def service(self) -> Mapping[str, str]:
        # A key may come several times; the last one is enough for what is asked here.
        parser = configparser.RawConfigParser(strict=False)
        parser.read(SAMPLES / "chatserver.service")
        return parser["Service"]

    def test_it_waits_longer_than_the_server(self, service: Mapping[str, str]) -> None:
        assert float(service["TimeoutStopSec"]) > ServerConfig().shutdown_grace

    def test_it_reloads_by_sighup(self, service: Mapping[str, str]) -> None:
        assert service["ExecReload"] == "/bin/kill -HUP $MAINPID"

    def test_it_does_not_repeat_a_wrong_configuration(self, service: Mapping[str, str]) -> None:
        assert service["RestartPreventExitStatus"] == str(BAD_CONFIG)

    def test_it_has_descriptors_for_all_connections(self, service: Mapping[str, str]) -> None:
        assert int(service["LimitNOFILE"]) > ServerConfig().max_connections + 50


class TestImage:
    TEXT = (SAMPLES / "Dockerfile").read_text()

    def test_what_it_copies_is_there(self) -> None:
        copied = [
            source
            for line in re.findall(r"^COPY (.+)$", self.TEXT, re.M)
            for source in line.split()[:-1]
        ]
        assert "chatserver" in copied
        for source in copied:
            assert (ROOT / source).exists(), source

    def test_docker_waits_longer_than_the_server(self) -> None:
        for text in (self.TEXT, DEPLOY.text):
            times = re.findall(r"--stop-timeout (\d+)", text)
            assert times
            assert all(float(time) > ServerConfig().shutdown_grace for time in times)

    async def test_its_health_check(self, chat: ChatServer) -> None:
        found = re.search(r"HEALTHCHECK .*CMD \\\n\s*(\[.+\])", self.TEXT)
        assert found
        python, *arguments = json.loads(found[1])
        assert python == "python"
        address = chat.url.removeprefix("http://")
        arguments = [each.replace("127.0.0.1:8765", address) for each in arguments]
        assert await healthy(arguments)
        nowhere = [each.replace("/healthz", "/nowhere") for each in arguments]
        assert not await healthy(nowhere)


async def healthy(arguments: list[str]) -> bool:
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, stderr=asyncio.subprocess.DEVNULL
    )
    async with asyncio.timeout(CHECK_WITHIN):
        return await process.wait() == 0


class TestLogs:
    @pytest.fixture
    def record(self) -> logging.LogRecord:
        """What the samples in the docs show, and an exception."""
        (sample,) = DEPLOY.blocks_in("json")
        told = json.loads(sample.text)
        try:
            raise RuntimeError("boom")
        except RuntimeError as error:
            info = (type(error), error, error.__traceback__)
        made = logging.LogRecord(
            told["logger"], logging.INFO, __file__, 1, told["message"], (), info
        )
        made.created = datetime.fromisoformat(told["time"]).timestamp()
        guest = Identity(user=told["user"], guest=True)
        made.session = Session(told["connection"], guest, "127.0.0.1")
        return made

    def test_the_line_for_people(self, record: logging.LogRecord) -> None:
        record.exc_info = None
        assert f"```\n{HumanFormatter().format(record)}\n```" in DEPLOY.text

    def test_the_fields_of_json(self, record: logging.LogRecord) -> None:
        line = json.loads(JsonFormatter().format(record))
        rows = DEPLOY.rows("field", "meaning", section="Logs")
        assert [code(row["field"])[0] for row in rows] == list(line)
        del line["traceback"]
        (sample,) = DEPLOY.blocks_in("json")
        assert line == json.loads(sample.text)

    def test_the_loggers(self) -> None:
        sources = [*(ROOT / "chatserver").rglob("*.py"), *(ROOT / "middlewares").glob("*.py")]
        used = {
            name
            for source in sources
            if source.parent.name != "client"  # docs/client.md tells of its own
            for name in re.findall(
                r'^log = logging\.getLogger\("(\S+)"\)', source.read_text(), re.M
            )
        }
        told = {name for row in DEPLOY.rows("logger", "says") for name in code(row["logger"])}
        assert told == used | {"aiohttp.access"}


def strings() -> str:
    """All texts in the code, the parts of formatted ones by themselves."""
    sources = [
        source
        for name in ("chatserver", "middlewares", "plugins")
        for source in (ROOT / name).rglob("*.py")
    ]
    return "\n".join(
        node.value
        for source in sources
        for node in ast.walk(ast.parse(source.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def test_log_lines_to_look_for() -> None:
    """What an operator is told to look for is what the server says."""
    said = strings()
    for row in DEPLOY.rows("you see", "it means"):
        for line in code(row["you see"]):
            if " " not in line or line == "Too many open files":
                continue
            for part in re.split(r"…|\b(?:32|403|origin|host)\b", line):
                assert part.strip(": ") in said, line


def test_exit_codes() -> None:
    told = {int(row["exit code"]) for row in DEPLOY.rows("exit code", "meaning")}
    assert told == {OK, FAILED, 2, BAD_CONFIG, INTERRUPTED}
