"""Ignores SIGTERM, says that it is ready, sleeps for ten minutes."""

import os
import signal
import time

signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.write(1, b"ready\n")
time.sleep(600)
