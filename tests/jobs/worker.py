"""worker.py ROOT LOG_PATH RUN_PATH KILL_AFTER ARG ...: runs a command, to be killed.

ROOT is where the package is found. Prints the pid of the run's leader.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, sys.argv[1])

from jobqueue.executor import Command, Executor

_, _, log_path, run_path, kill_after, *argv = sys.argv
command = Command(argv, log_path, kill_after=float(kill_after), grace=0.3, note={"execution": 5})
run = Executor(Path(run_path), Path(f"{run_path}.lease")).start(command)
os.write(1, b"%d\n" % (run.pid or 0))
run.wait()
