"""The gateway's own commands: the Worker's files in a project, the Worker on this machine, and its API keys.

`files.py` writes the Worker into a project, `runtime.py` finds what runs it here, `admin.py` its admin's secret, and
`process.py` runs it. `keys.py` makes, lists and revokes API keys at any target that has them, as `wish.py` was asked.
`commands.py` is what the tasks call.
"""
