"""leave_children.py COUNT [ignore-term] [wait]: leaves sleeping children in its process group.

Prints a line with their pids when they are ready, then succeeds; with `wait` it sleeps, too.
"""

import os
import signal
import sys
import time

count, words = int(sys.argv[1]), sys.argv[2:]
pids = []
for _ in range(count):
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        if "ignore-term" in words:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.write(write, b"ready")
        time.sleep(600)
        os._exit(0)
    os.read(read, 5)
    pids.append(pid)
os.write(1, (" ".join(map(str, pids)) + "\n").encode())
if "wait" in words:
    time.sleep(600)
