"""What a CI shows of a run: annotations, job summaries, code-quality and JUnit reports. Pure, but for `runner.py`.

issues, page results --problems--> problems --github--> annotations
--gitlab--> code quality
page results, issues --junit--> XML         summary --markdown--> the job's page
"""
