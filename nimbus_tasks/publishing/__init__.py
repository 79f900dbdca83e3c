"""Brings a target up to date: plan, upload, ledger, reconcile, outbox."""
