"""fail_at_first.py FILE TIMES: adds a line to FILE; fails with 75 while they are so few."""

import os
import sys

file, times = sys.argv[1], int(sys.argv[2])
fd = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
os.write(fd, b"started\n")
lines = os.pread(fd, 1 << 20, 0).count(b"\n")
sys.exit(75 if lines <= times else 0)
