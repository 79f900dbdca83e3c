"""Contracts of what lies outside (KV stores, queues, HTTP), and their implementations."""
