"""Moving in from Bots: its `bots.ini`, its routes and its Run menu."""
