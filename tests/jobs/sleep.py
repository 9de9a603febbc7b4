"""sleep.py SECONDS: says that it runs, sleeps, says that it is done."""

import os
import sys
import time

os.write(1, b"sleeping\n")
time.sleep(float(sys.argv[1]))
os.write(1, b"awake\n")
