"""`python -m docsite [FOLDER]`: the site in FOLDER/site (.cache/docs), or a line for each thing that is wrong."""

from __future__ import annotations

import sys
from pathlib import Path

from docsite import assembly, building, links
from docsite.drawings import DrawingError

FOLDER = ".cache/docs"


def main(arguments: list[str]) -> int:
    folder = Path(arguments[0] if arguments else FOLDER)
    try:
        assembly.assemble(folder)
    except (assembly.PageError, DrawingError) as error:
        print(error, file=sys.stderr)
        return 1
    if not building.build(folder):
        return 1
    site = folder / building.SITE
    wrong = links.problems_of(site)
    for problem in wrong:
        print(problem, file=sys.stderr)
    if wrong:
        return 1
    print(f"{len(links.pages_of(site))} pages: {site}. To read them: python -m http.server --directory {site}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
