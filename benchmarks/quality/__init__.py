"""How well content is told from its surroundings, judged by what a browser shows: `python -m benchmarks.quality`."""
