"""Leaves a zombie in its process group: its parent, gone to a session of its own, never waits.

Prints that parent's pid, which sleeps for ten minutes.
"""

import os
import time

read, write = os.pipe()
if os.fork() == 0:
    if os.fork() == 0:
        os._exit(0)
    os.setsid()
    os.write(write, b"%d" % os.getpid())
    time.sleep(600)
    os._exit(0)
os.write(1, os.read(read, 20) + b"\n")
