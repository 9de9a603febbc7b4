"""A persistent, serial priority queue of command lines for Django, run by django-q2."""
