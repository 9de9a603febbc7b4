"""Prints all that stdin gives."""

import os

os.write(1, repr(os.read(0, 1000)).encode())
