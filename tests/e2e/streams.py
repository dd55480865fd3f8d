"""Configure servers whose rooms keep what was said."""


def guarded(*users: str) -> dict[str, object]:
    """Return a configuration that keeps rooms, and lets these users in by tokens of their names."""
    tokens = [{"token": f"{user}-token", "user": user, "name": user} for user in users]
    return {
        "broker": "embedded",
        "middlewares": [{"auth": {"anonymous": True, "tokens": tokens}}, "size_limit"],
    }
