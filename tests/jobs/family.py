"""family.py FILE LABEL CHILDREN RELEASE [ignore-term]: starts children and kills itself.

It stamps its start as stamp.py does, and dies when there is a file RELEASE. Its children stamp that
they live every few milliseconds, with LABEL for their label.
"""

import json
import os
import signal
import sys
import time


def stamp(event):
    line = {
        "event": event,
        "label": label,
        "execution": int(os.environ["JOBQUEUE_EXECUTION"]),
        "queue": os.environ["JOBQUEUE_QUEUE"],
        "host": os.environ.get("JOBQUEUE_HOST", ""),
        "pid": os.getpid(),
        "at": time.clock_gettime(time.CLOCK_BOOTTIME),
    }
    os.write(fd, json.dumps(line).encode() + b"\n")


file, label, children, release = sys.argv[1:5]
fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
stamp("start")
for _ in range(int(children)):
    read, write = os.pipe()
    if os.fork() == 0:
        if "ignore-term" in sys.argv[5:]:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        stamp("child")
        os.write(write, b"ready")
        while True:
            time.sleep(0.005)
            stamp("child")
    os.read(read, 5)
while not os.path.exists(release):
    time.sleep(0.02)
os.write(1, f"{label} dies\n".encode())
os.kill(os.getpid(), signal.SIGKILL)
