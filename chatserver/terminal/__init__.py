"""Chat in a terminal: ``python -m chatserver client``; docs/terminal.md is for its users.

`talk` follows the chat and does what is typed, for either of two screens: `app` fills the terminal
with Textual, `plain` prints lines.
"""
