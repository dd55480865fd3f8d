"""Share fixtures with all tests."""

pytest_plugins = ["chatserver.testing.fixtures"]
