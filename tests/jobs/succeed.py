"""Says a word on stdout and one on stderr, succeeds."""

import os

os.write(1, b"out\n")
os.write(2, b"err\n")
