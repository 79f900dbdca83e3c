"""The gateway: API keys, the Worker's files in a project, and the Worker on this machine.

`keys.py` creates, lists and revokes API keys at a target. `worker_files.py` writes the Worker into a project.
`local_worker.py` runs it here, on what `miniflare.py` finds or installs, with the secret of `admin_secret.py`. The
Worker itself is in `worker/`.
"""
