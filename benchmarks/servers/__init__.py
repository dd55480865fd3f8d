"""The servers that chatserver is measured against, each a program that takes its port."""
