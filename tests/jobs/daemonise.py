"""Leaves a daemon in a session of its own, prints its pid; it sleeps for ten minutes."""

import os
import time

read, write = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.write(write, b"%d" % os.getpid())
        time.sleep(600)
    os._exit(0)
os.write(1, os.read(read, 20) + b"\n")
