"""Serve pages, health checks and metrics over plain HTTP."""
