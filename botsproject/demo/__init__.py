"""Things to look at: data for `make run`, the story of `make demo`."""
