"""Look after a store from the command line: copy, move, erase, tidy.

What only reads works beside a running server; what writes takes the server's lock, and so waits for
nobody: with a server on the file it fails at once. All of it knows the file that `chatserver.store`
keeps, and nothing of connections or rooms in memory.
"""

from chatserver.errors import ChatError


class UpkeepError(ChatError):
    """Report that a command could not be carried out; the file is as it was.

    Args:
        message: One line that says why and what to do.
    """
