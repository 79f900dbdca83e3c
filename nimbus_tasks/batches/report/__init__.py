"""Batches: which moves their states and their pages' states may make."""
