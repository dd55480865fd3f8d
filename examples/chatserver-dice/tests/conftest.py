"""Take in chatserver's fixtures."""

pytest_plugins = ["chatserver.testing.fixtures"]
