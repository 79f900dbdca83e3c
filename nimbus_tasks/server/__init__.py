"""The service that takes uploads of images, works on them in the background and shows how far it is.

`app.py` has the routes, `tables.py` what is stored. Needs the extra: pip install "nimbus-tasks[server]".
"""
