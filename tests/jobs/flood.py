"""flood.py LINES: writes numbered lines as fast as it can, then "the end"."""

import os
import sys

lines = int(sys.argv[1])
for start in range(0, lines, 1000):
    numbers = range(start, min(start + 1000, lines))
    os.write(1, b"".join(b"line %08d\n" % number for number in numbers))
os.write(1, b"the end\n")
