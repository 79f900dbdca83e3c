"""`doit nimbus:doctor` checks everything that an upload needs, and changes nothing.

`checks.py` lists the checks and runs them side by side. `local.py` and `target.py` collect facts on this machine and at
the target; `findings.py` judges them (pure); `databases.py` looks into SQLite files.
"""
