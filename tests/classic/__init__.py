"""The classic client, written from the contract alone, and what our commands promise beside it."""
