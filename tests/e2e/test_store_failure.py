"""A server whose disk fails tells everybody, goes on reading, and ends with an exit code of 1."""

import resource
import signal
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

from tests.e2e.callers import ask, call, configure
from tests.e2e.process import ServerProcess

HERE = {"CHATSERVER_SERVER__DATA_DIR": None}


def test_a_failing_disk(tmp_path: Path) -> None:
    config = configure(tmp_path, server={"data_dir": "data"})
    with (
        ServerProcess(config, env=HERE) as server,
        call(server.ws) as ann,
        closing(HTTPConnection("127.0.0.1", server.port)) as http,
    ):
        ann.enter("ann")
        stored = ann.ask("message", text="before")
        assert stored["offset"] == 1
        assert ask(http, "/readyz") == (200, "ready\n")

        # The kernel lets the process's files grow by a part of a page, which is an I/O error.
        log = (tmp_path / "data" / "chat.db-wal").stat().st_size
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (log + 1000, log + 1000))
        for text in ("lost", "and after"):
            refused = ann.ask("message", text=text)
            assert refused["code"] == "unavailable"
            assert refused["retry_after"] == 60
        server.err.expect("STORING HAS FAILED")
        assert ask(http, "/readyz") == (503, "storing has failed\n")
        assert ask(http, "/healthz") == (200, "ok\n")
        assert "chatserver_store_failed 1.0" in ask(http, "/metrics")[1]
        kept = ann.ask("history")["messages"]
        assert isinstance(kept, list)
        assert [each["text"] for each in kept] == ["before"]

        server.signal(signal.SIGTERM)
        assert server.wait() == 1
    with ServerProcess(config, env=HERE) as server, call(server.ws) as ann:
        ann.enter("ann")
        assert ann.ask("message", text="again")["offset"] == 2
