"""Makes the documentation site: the pages of docs/, those that are made from the code, one check of the result.

`python -m docsite` (which is `make docs`) does it all. What is made from the code, so that it cannot say anything else:
each command from its task, settings from their structs, JSON documents from theirs, the drawings of the states from the
lifecycle table, the rooms from the layers that import-linter checks, error messages from the lines that raise them.
"""
