"""How fast the queue is, measured beside what it is compared with: ``python -m benchmarks``."""
