"""Batches and pages at the target, after their upload: seen, reported, tried again, cancelled, watched."""
