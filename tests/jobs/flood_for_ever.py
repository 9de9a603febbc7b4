"""Writes numbered lines, never stops by itself."""

import os

number = 0
while True:
    os.write(1, b"line %08d\n" % number)
    number += 1
