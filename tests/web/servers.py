"""Serve configurations in forks of this process, for tests that are no Python.

Run as ``python -m tests.web.servers SOCKET``. Whoever connects to the unix socket says which
configuration file to serve, in one line, and is told the number of the process and then what it
prints; the end of that is the end of the process.
"""

import os
import signal
import socket
import sys
from importlib import import_module

from chatserver.cli import main

if __name__ == "__main__":
    import_module("tests.warm")
    # Nobody waits for what is forked.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(sys.argv[1])
        listener.listen()
        print("ready", flush=True)
        while True:
            caller, _ = listener.accept()
            if os.fork() == 0:
                break
            caller.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    config = caller.makefile().readline().strip()
    os.dup2(caller.fileno(), 1)
    caller.close()
    print(os.getpid(), flush=True)
    sys.exit(main(["--config", config, "--log-level", "error"]))
