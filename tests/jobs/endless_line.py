"""endless_line.py BYTES: writes that many bytes without a line break."""

import os
import sys

left = int(sys.argv[1])
while left > 0:
    left -= os.write(1, b"x" * min(left, 65536))
