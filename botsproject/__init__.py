"""The stand-alone site, and an example of how to embed the job queue in a project."""
