"""Logsluice on Kubernetes: the image's entrypoint, one-off runs of a job, and what runs."""
