"""Build the documentation site: the pages in docs/, and the reference pages made from the code.

`python -m docsite` (`make docs`) writes these pages and lets Zensical build the site, checking links and anchors.
Why each part is our own:

    __main__   adds the generated pages to docs/ and starts Zensical, which has no plugin that runs code before a build
    commands   doit tasks: no documentation tool reads them
    schemas    field tables: the JSON Schema tools for Markdown write a section for every field, and these are tables
    states     Mermaid text of the two state tables; Mermaid draws it in the browser
    markdown   a table and a code span
"""
