"""What a CI shows of a run.

`output.py` knows the environment and writes; the others are pure: `problems.py` makes GitHub annotations and GitLab's
code quality report, `junit.py` a JUnit report, `markdown.py` the job's summary page.
"""
