"""The built-in middlewares, found through the same entry points as everybody else's."""
