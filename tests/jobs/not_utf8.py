"""Writes Latin-1, NUL, and half of a UTF-8 character at the end."""

import os

os.write(1, b"Gr\xfc\xdfe\n\x00\x1b[31m\n\xe2\x82")
