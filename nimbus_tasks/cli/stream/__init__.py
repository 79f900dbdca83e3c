"""`nimbus:stream`: pages that another program has in memory come in on standard input, and answers go out.

    header line, HTML bytes --frames--> pages --groups--> extraction, validation, upload --answers--> one line a page

A page is a line of JSON, `{"path": "dist/about.html", "bytes": 1234}`, then so many bytes of HTML. Each page is
answered by one line of JSON, in the order of the pages: `{"path", "page_id", "status", "reason"}`.

Pages are published in groups: the queue and the batch are written once a group, not once a page. What never came in
stays as it is: a stream is some pages of a site, not all of it.
"""
