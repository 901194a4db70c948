"""The worker processes: supervisor, RQ worker, what a job has at hand."""
