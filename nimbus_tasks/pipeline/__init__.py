"""The stages of a run, in the order in which they read: extract, validate, upload, summary.

    source folder --extract--> maps/ --validate--> verdicts --upload--> store --summary--> reports

Each stage takes a `Snapshot` of the project's folders and returns its result with the snapshot that the next stage
needs; `plan_...` returns what a stage would do, which is what doit asks. `Pipeline` adds the lock and the log. Paths
are relative to the working directory, which is the project's folder.
"""
