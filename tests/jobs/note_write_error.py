"""note_write_error.py FILE: writes to stdout; the number of the error, 0 without, goes to FILE."""

import os
import sys

number = 0
try:
    os.write(1, b"output\n")
except OSError as error:
    number = error.errno or -1
with open(sys.argv[1], "w") as file:
    file.write(str(number))
