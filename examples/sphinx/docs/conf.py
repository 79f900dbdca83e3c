"""Settings of Sphinx."""

import os

project = "Harbour Lane Repairs"
html_theme = "furo"
html_baseurl = "https://www.example.com/"
html_last_updated_fmt = "%d %b %Y"


def setup(app):
    """Put a build stamp into the head of each page."""
    app.connect("html-page-context", add_stamp)


def add_stamp(app, pagename, templatename, context, doctree):
    stamp = f'<meta name="build" content="{os.environ.get("BUILD", "local")}">'
    context["metatags"] = context.get("metatags", "") + stamp
