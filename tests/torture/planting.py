"""Put something else in the place of a part of the server, in this process only."""


def plant(owner: object, name: str, value: object) -> None:
    """Replace what `owner`, a module or class, calls `name`; it has to have that.

    Raises:
        AttributeError: It has not: the server was changed, and whoever plants has to follow.
    """
    getattr(owner, name)
    setattr(owner, name, value)
