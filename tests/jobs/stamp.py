"""stamp.py FILE LABEL SECONDS [CODE]: stamps its start and its end, and exits with CODE.

For SECONDS there may be a file's name: then it goes on until there is such a file.
Each stamp is a line of JSON, appended to FILE in one write. Its moments are those of the clock that
all processes of a machine share, that nobody can set and that goes on in a suspended machine.
"""

import json
import os
import sys
import time


def stamp(event, **more):
    line = {
        "event": event,
        "label": label,
        "execution": int(os.environ.get("JOBQUEUE_EXECUTION", "0")),
        "queue": os.environ.get("JOBQUEUE_QUEUE", ""),
        "host": os.environ.get("JOBQUEUE_HOST", ""),
        "pid": os.getpid(),
        "at": time.clock_gettime(time.CLOCK_BOOTTIME),
        **more,
    }
    os.write(fd, json.dumps(line).encode() + b"\n")


file, label, seconds = sys.argv[1:4]
code = int(sys.argv[4]) if len(sys.argv) > 4 else 0
fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
os.write(1, f"{label} starts\n".encode())
stamp("start", parent=os.getppid())  # afterwards: who sees it may kill this process at once
if "/" in seconds:
    while not os.path.exists(seconds):
        time.sleep(0.02)
else:
    time.sleep(float(seconds))
os.write(1, f"{label} ends with {code}\n".encode())
stamp("end", code=code)
os._exit(code)
