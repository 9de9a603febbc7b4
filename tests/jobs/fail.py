"""fail.py CODE: says why on stderr, fails with CODE."""

import os
import sys

os.write(2, b"failing\n")
sys.exit(int(sys.argv[1]))
