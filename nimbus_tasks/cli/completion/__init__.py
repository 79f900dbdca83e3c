"""Completion of tasks and options in a shell: a script for each, made from the tasks. Pure but for `commands.py`.

The scripts are static, so that a key press costs no Python: what may change in between, the names of a user's own
tasks, they read from the dodo.py themselves. (`doit tabcompletion` starts doit at each key, and knows no options.)
"""
