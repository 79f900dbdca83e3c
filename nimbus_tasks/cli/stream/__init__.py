"""`nimbus:stream`: another program sends pages from its memory on standard input; answers go to standard output.

    header line, HTML bytes --input--> groups --publish: extract, validate, upload--> one answer a page

A page is a line of JSON, `{"path": "dist/about.html", "bytes": 1234}`, then that many bytes of HTML. Each page is
answered by one line of JSON, in the order of the pages: `{"path", "page_id", "status", "reason"}`.

Pages are published in groups: the queue and the batch are written once a group, not once a page. Pages that do not come
in stay as they are: a stream is a part of the site.
"""
