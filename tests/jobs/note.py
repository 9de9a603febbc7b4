"""note.py FILE NAME [SECONDS]: writes a line with its name, its start and its end.

Both are moments of the clock that all processes of a machine share and that nobody can set.
"""

import json
import os
import sys
import time

start = time.monotonic()
file, name = sys.argv[1:3]
time.sleep(float(sys.argv[3]) if len(sys.argv) > 3 else 0)
line = {"name": name, "start": start, "end": time.monotonic(), "pid": os.getpid()}
fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
os.write(fd, json.dumps(line).encode() + b"\n")
