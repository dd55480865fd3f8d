"""Import all that a server does, for what servers are forked from: a start costs no imports.

Run-time imports count as well: importing this module is all there is to do, last of all.
"""

import gc
from importlib import import_module
from importlib.metadata import entry_points

import_module("chatserver.cli")
import_module("uvloop")
for group in ("brokers", "middlewares", "plugins"):
    for entry in entry_points(group=f"chatserver.{group}"):
        entry.load()

# What is frozen stays shared: each fork's collector would look at all of it, and so copy it.
gc.freeze()
