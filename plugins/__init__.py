"""The built-in plugins, found through the same entry points as everybody else's."""
