"""The sample configuration of nginx, in front of a real server."""

import os
import re
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

import pytest
import trustme
from aiohttp import ClientSession, TCPConnector

from chatserver.testing import ChatServer
from tests.docs.pages import ROOT
from tests.missing import missing

pytestmark = pytest.mark.install

SAMPLE: Final = ROOT / "examples" / "deploy" / "nginx.conf"
NAME: Final = "chat.example.com"
CLIENT: Final = "127.0.0.2"
"""An address of loopback that no proxy has."""

FRAME: Final = """
pid {folder}/nginx.pid;
error_log {folder}/error.log;
{user}
events {{}}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/chat.conf;
}}
"""


@pytest.fixture
def nginx() -> str:
    path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))
    found = shutil.which("nginx", path=path)
    if found is None:
        reason = "nginx is not installed; `make test` installs it where it may"
        missing(reason)
    return found


@pytest.fixture
def chat_config() -> dict[str, object]:
    """What the sample asks of the chat."""
    return {
        "server": {"trusted_proxies": ["127.0.0.1"]},
        "middlewares": [
            {"origin": {"allowed_hosts": [NAME]}},
            "rate_limit",
            {"auth": {"anonymous": True}},
            "size_limit",
        ],
    }


@pytest.fixture
def proxy(nginx: str, chat: ChatServer, unused_tcp_port: int, tmp_path: Path) -> Iterator[str]:
    """Where nginx listens; it has all its sockets open as soon as the command ends."""
    certificate = trustme.CA().issue_cert(NAME)
    certificate.private_key_and_cert_chain_pem.write_to_path(tmp_path / "chat.pem")
    site = SAMPLE.read_text()
    for sample, here in (
        (r"server 127\.0\.0\.1:8765;", f"server {chat.url.removeprefix('http://')};"),
        (r"listen 443 ssl;", f"listen 127.0.0.1:{unused_tcp_port} ssl;"),
        (r"/etc/ssl/chat/\w+\.pem", f"{tmp_path}/chat.pem"),
        (r"/var/log/nginx/chat\.log", f"{tmp_path}/access.log"),
    ):
        site, times = re.subn(sample, here, site)
        assert times, sample
    (tmp_path / "chat.conf").write_text(site)
    user = "user root;" if os.getuid() == 0 else ""
    (tmp_path / "nginx.conf").write_text(FRAME.format(folder=tmp_path, user=user))
    command = [nginx, "-e", f"{tmp_path}/error.log", "-c", f"{tmp_path}/nginx.conf"]
    subprocess.run(command, check=True, timeout=30)
    yield f"https://127.0.0.1:{unused_tcp_port}"
    subprocess.run([*command, "-s", "stop"], check=True, timeout=30)


@pytest.fixture
async def stranger(proxy: str) -> AsyncIterator[ClientSession]:
    """Somebody on the net, who does not care about the certificate."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    connector = TCPConnector(ssl=context, local_addr=(CLIENT, 0))
    port = proxy.rpartition(":")[2]
    async with ClientSession(
        proxy, connector=connector, headers={"Host": f"{NAME}:{port}"}
    ) as session:
        yield session


async def test_a_page_of_the_public_name_chats(
    chat: ChatServer, proxy: str, stranger: ClientSession
) -> None:
    made_up = {"Forwarded": "for=192.0.2.1;host=evil.example", "X-Forwarded-For": "192.0.2.1"}
    origin = f"https://{NAME}:{proxy.rpartition(':')[2]}"
    socket = await stranger.ws_connect("/ws", headers={"Origin": origin, **made_up})
    await socket.send_json({"action": "ping", "id": 1})
    assert (await socket.receive_json())["id"] == 1
    (session,) = chat.chat.hub.sessions
    assert session.remote == CLIENT
    await socket.close()


async def test_pages_of_others_do_not(stranger: ClientSession) -> None:
    async with stranger.get("/ws", headers={"Origin": "https://evil.example"}) as answer:
        assert answer.status == 403


async def test_the_page_is_served_and_the_metrics_are_not(stranger: ClientSession) -> None:
    async with stranger.get("/") as answer:
        assert answer.status == 200
    async with stranger.get("/metrics") as answer:
        assert answer.status == 403


async def test_no_query_is_logged(stranger: ClientSession, tmp_path: Path) -> None:
    async with stranger.get("/ws?token=secret") as answer:
        assert answer.status == 426
    # A request is logged behind its answer, but by the one worker, so before the next answer.
    async with stranger.get("/"):
        pass
    log = (tmp_path / "access.log").read_text()
    assert f"{CLIENT} [" in log
    assert "GET /ws 426" in log
    assert "secret" not in log
