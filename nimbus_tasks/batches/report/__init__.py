"""A batch's report: `gather` reads the target, `report` makes the value, `html` renders it."""
