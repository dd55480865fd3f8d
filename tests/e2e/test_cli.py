"""The command line: exit codes, one line for each wrong configuration, what overrides what."""

import re
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from chatserver import __version__
from chatserver.cli import main
from chatserver.config import DEFAULT_PLUGINS
from tests.e2e.callers import configure

PLUGINS = """
from chatserver import ConfigError, NoConfig, Plugin, action


class NoPlugin:
    pass


class RaisesPlugin(Plugin[NoConfig]):
    def __init__(self, config):
        raise RuntimeError("two\\nlines")


class ComplainsPlugin(Plugin[NoConfig]):
    def __init__(self, config):
        raise ConfigError("two\\nlines, and \\x1b[31m red")


class TakesPingPlugin(Plugin[NoConfig]):
    @action("ping")
    async def ping(self, ctx):
        return None
"""

WRONG_FILES = {
    "unknown plugin": (
        "plugins: {dise: {}}",
        "1:11",
        "unknown plugin 'dise'; installed: c",
    ),
    "no such module": ("plugins: {dice: {use: 'no_such:Dice'}}", "1:23", "No module named"),
    "broken module": ("plugins: {dice: {use: 'broken:Dice'}}", "1:23", "RuntimeError: two\\n"),
    "no such class": ("plugins: {dice: {use: 'faulty:Nope'}}", "1:23", "no attribute 'Nope'"),
    "no plugin": ("plugins: {dice: {use: 'faulty:NoPlugin'}}", None, "is no subclass of"),
    "raises": ("plugins: {dice: {use: 'faulty:RaisesPlugin'}}", "1:11", "dice does not start: "),
    "complains": ("plugins: {dice: {use: 'faulty:ComplainsPlugin'}}", "1:11", "dice: two\\nlines"),
    "action twice": (
        "plugins: {dice: {use: 'faulty:TakesPingPlugin'}}",
        None,
        "the action 'ping' is defined by both 'ping' and 'dice'",
    ),
    "plugin option": (
        "plugins:\n  ping: {often: 1}",
        "2:10",
        "unknown key 'often' in plugins.ping",
    ),
    "unknown middleware": ("middlewares: [orgin]", "1:15", "unknown middleware 'orgin'; installed"),
    "middleware twice": ("middlewares:\n- origin\n- origin", "3:3", "'origin' is listed twice"),
    "middleware option": (
        "middlewares:\n- auth: {anonymus: true}",
        "2:10",
        "did you mean 'anonymous'?",
    ),
    "short secret": (
        "middlewares:\n- auth: {jwt: {algorithms: [HS256], secret: short}}",
        "2:3",
        "jwt.secret has 5 bytes and needs 32 or more",
    ),
    "unknown key": ("server:\n  prot: 1", "2:3", "unknown key 'prot' in server; did you mean 'po"),
    "duplicate key": ("server:\n  port: 1\n  port: 2", "3:3", "duplicate key 'port'; the first is"),
    "wrong type": ("server:\n  port: many", "2:9", "must be an integer, not a string ('many')"),
    "port too high": ("server: {port: 99999}", "1:16", "must be an integer <= 65535, not 99999"),
    "no YAML": ("server: [", "2:1", "not valid YAML"),
    "plain text": (
        "chat: {plain_text: {action: shout}}",
        "1:29",
        "hands text to the action 'shout', which no plugin offers",
    ),
    "unknown broker": ("broker: carrier-pigeon", "1:9", "unknown broker 'carrier-pigeon'"),
    "trusted proxies": ("server: {trusted_proxies: [everybody]}", "1:10", "is no trusted proxy"),
    "unset variable": (
        "log: {level: '${NO_SUCH_VARIABLE}'}",
        "1:14",
        "_VARIABLE is not set",
    ),
    "empty host": ("server: {host: ''}", "1:16", "write 0.0.0.0 or :: for every address"),
    "no host at all": ("server: {host: []}", "1:10", "there is nothing to listen on"),
    "no certificate": (
        "server: {tls: {certificate: no.pem, key: key.pem}}",
        "1:29",
        "no.pem cannot be read: No such file or directory",
    ),
    "no PEM": (
        "server: {tls: {certificate: faulty.py, key: key.pem}}",
        "1:10",
        "must be PEM files",
    ),
    "another key": (
        "server: {tls: {certificate: cert.pem, key: other.pem}}",
        "1:10",
        "the key does not belong to the certificate",
    ),
    "encrypted key": (
        "server: {tls: {certificate: cert.pem, key: encrypted.pem}}",
        "1:10",
        "the key is encrypted; store it without a password",
    ),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    Path("faulty.py").write_text(PLUGINS)
    Path("broken.py").write_text("raise RuntimeError('two\\nlines')")
    yield tmp_path
    sys.modules.pop("faulty", None)


@pytest.fixture(scope="module")
def pems(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pems")
    authority = trustme.CA()
    first, second = authority.issue_cert("localhost"), authority.issue_cert("localhost")
    first.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    first.private_key_pem.write_to_path(folder / "key.pem")
    second.private_key_pem.write_to_path(folder / "other.pem")
    (folder / "encrypted.pem").write_bytes(encrypted(first.private_key_pem.bytes()))
    return folder


def encrypted(key: bytes) -> bytes:
    return serialization.load_pem_private_key(key, None).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"password"),
    )


@pytest.mark.parametrize("name", WRONG_FILES)
def test_a_wrong_configuration_costs_one_line(
    folder: Path, pems: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    text, place, message = WRONG_FILES[name]
    for pem in pems.iterdir():
        (folder / pem.name).write_bytes(pem.read_bytes())
    Path("wrong.yaml").write_text(text)

    assert main(["--config", "wrong.yaml", "--check-config"]) == 78

    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.rstrip("\n").isprintable()
    where = "" if place is None else f"wrong.yaml:{place}: "
    assert err.startswith(f"chatserver: {where}")
    assert message in err


def test_a_missing_file_costs_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--config", "missing.yaml"]) == 78
    assert capsys.readouterr().err == (
        "chatserver: missing.yaml: cannot be read: No such file or directory\n"
    )


def test_a_loop_that_is_not_installed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert main(["--check-config"]) == 0
    Path("wrong.yaml").write_text("server: {loop: uvloop}")
    assert main(["--config", "wrong.yaml", "--check-config"]) == 78
    assert "wrong.yaml:1:16: server.loop is uvloop, which is not inst" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [["--port", "abc"], ["--log-level", "loud"], ["dance"], ["-x"]]
)
def test_wrong_usage(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("usage: python -m chatserver")


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"chatserver {__version__}\n"


class TestOverrides:
    """Flags win over the environment, that over the file, that over the defaults."""

    ENVIRONMENT = "CHATSERVER_SERVER__PORT"

    @pytest.mark.parametrize(
        ("file", "environment", "flag", "culprit"),
        [
            ("99999", None, None, "wrong.yaml:1:16: "),
            ("99999", "1", None, None),
            ("1", "99999", None, "CHATSERVER_SERVER__PORT: "),
            ("99999", "99999", "1", None),
            ("1", "1", "99999", "--port: "),
            (None, None, "99999", "--port: "),
            (None, "99999", None, "CHATSERVER_SERVER__PORT: "),
        ],
    )
    def test_order(
        self,
        folder: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        file: str | None,
        environment: str | None,
        flag: str | None,
        culprit: str | None,
    ) -> None:
        arguments = ["--check-config"]
        if file is not None:
            Path("wrong.yaml").write_text(f"server: {{port: {file}}}")
            arguments += ["--config", "wrong.yaml"]
        if environment is not None:
            monkeypatch.setenv(self.ENVIRONMENT, environment)
        if flag is not None:
            arguments += ["--port", flag]
        assert main(arguments) == (0 if culprit is None else 78)
        err = capsys.readouterr().err
        assert err.startswith(f"chatserver: {culprit}" if culprit else "")
        assert bool(err) == bool(culprit)


class TestWithoutListening:
    """Two commands look at everything, and bind and write nothing."""

    @pytest.fixture
    def taken(self, folder: Path) -> Iterator[Path]:
        with socket.socket() as holder:
            holder.bind(("127.0.0.1", 0))
            holder.listen()
            yield configure(
                folder,
                server={"port": holder.getsockname()[1], "unix": "chat.sock"},
                middlewares=["origin", {"auth": {"anonymous": True}}],
                plugins={"dice": {"use": "faulty:TakesPingPlugin"}, "ping": False},
            )

    def test_check_config(self, taken: Path, capsys: pytest.CaptureFixture[str]) -> None:
        before = sorted(taken.parent.iterdir())
        assert main(["--config", str(taken), "--check-config"]) == 0
        assert capsys.readouterr().out == (
            "The configuration is good. Middlewares: origin, auth."
            f" Plugins: {', '.join(name for name in DEFAULT_PLUGINS if name != 'ping')}, dice.\n"
        )
        assert without_caches(taken.parent) == before

    def test_plugins(self, taken: Path, capsys: pytest.CaptureFixture[str]) -> None:
        before = sorted(taken.parent.iterdir())
        assert main(["plugins", "--config", str(taken)]) == 0
        head, *rows = (re.split(r" {2,}", row) for row in capsys.readouterr().out.splitlines())
        assert head == ["KIND", "NAME", "DISTRIBUTION", "STATE", "ACTIONS"]
        ours = f"chatserver {__version__}"
        assert ["plugin", "chat", ours, "on", "message"] in rows
        assert ["plugin", "ping", ours, "off", "-"] in rows
        assert ["plugin", "dice", "(by `use`)", "on", "ping"] in rows
        assert ["middleware", "auth", ours, "on", "refresh"] in rows
        assert ["middleware", "rate_limit", ours, "off", "-"] in rows
        assert without_caches(taken.parent) == before

    def test_plugins_of_a_wrong_file(
        self, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        Path("wrong.yaml").write_text("plugins: {dise: {}}")
        assert main(["plugins", "--config", "wrong.yaml"]) == 78
        assert capsys.readouterr().err.startswith("chatserver: wrong.yaml:1:11: unknown plugin")


def without_caches(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.name != "__pycache__")
