"""Batches and pages after their upload: list, status, report, retry, cancel, monitor."""
