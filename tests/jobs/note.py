"""note.py FILE NAME [SECONDS]: writes a line with its name, its start and its end.

For SECONDS there may be a file's name: then it goes on until there is such a file. Both are
moments of the clock that all processes of a machine share and that nobody can set.
"""

import json
import os
import sys
import time

start = time.monotonic()
file, name = sys.argv[1:3]
seconds = sys.argv[3] if len(sys.argv) > 3 else "0"
if "/" in seconds:
    while not os.path.exists(seconds):
        time.sleep(0.02)
else:
    time.sleep(float(seconds))
line = {"name": name, "start": start, "end": time.monotonic(), "pid": os.getpid()}
fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
os.write(fd, json.dumps(line).encode() + b"\n")
