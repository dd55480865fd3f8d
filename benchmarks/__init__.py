"""Measures chatserver beside other servers: the same machine, the same run, the same load."""
