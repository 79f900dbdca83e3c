"""The stages: extract, validate, upload, summarize. Each reads, calls a pure room, and writes.

    source folder --extracting--> maps/ --validating--> verdicts --uploading--> store --summarizing--> reports

A stage can say what it has to do (its survey) without doing it: doit asks that to know whether it must run.
Everything is relative to the working directory, which is the project's folder: doit sees to that.
"""
