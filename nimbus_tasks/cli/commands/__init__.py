"""One function per command: calls the pipeline, prints messages, returns the exit status."""
