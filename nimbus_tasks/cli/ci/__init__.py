"""What a CI reads of a run, as text. Pure: `ci_output.py` knows the environment and writes it.

`problems.py` makes GitHub annotations and GitLab's code quality report, `junit.py` a JUnit report, `markdown.py` the
job's summary page.
"""
