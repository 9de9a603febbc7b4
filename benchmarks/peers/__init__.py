"""Other queues, each of which runs the same program the same number of times, one at a time."""
