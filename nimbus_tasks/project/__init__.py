"""The project on this machine: settings, manifest, scan, lock, log, secrets, SQLite files."""
