"""Why does it not work here? `doit nimbus:doctor` looks at everything an upload needs, and changes nothing.

`checks.py` names the families of checks, one file each; `judging.py` decides what is well (pure), `examination.py` runs
them side by side. What a check says ends with what to do.
"""
