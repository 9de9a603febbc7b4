"""other_group.py [PROGRAM ...]: prints the pid of a child in a group of its own, in this session.

As timeout(1) and shells with job control make them. The child ignores SIGTERM, or is PROGRAM. Waits
for it.
"""

import os
import signal
import sys

ready, told = os.pipe()
child = os.fork()
if child == 0:
    os.setpgid(0, 0)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.write(told, b"x")
    if sys.argv[1:]:
        os.execvp(sys.argv[1], sys.argv[1:])
    while True:
        signal.pause()
os.read(ready, 1)
os.write(1, b"%d\n" % child)
os.waitpid(child, 0)
