"""nimbus:process: workers that take pages from the queue, have them optimised, and write the results.

    queue --take--> taken --optimise--> tried --commit--> record, log, status --shared_records--> batches, queue

`worker.py` runs these stages; work that takes the processor goes to child processes (`cpu_pool.py`). A page's values
pass through `queue.py`, `results.py` and `record_updates.py`. A page's queue entry is removed last, and its claim after
that. So after a kill at any moment either the entry is still there, and another worker takes the page once the lease
has expired, or everything has been written.

How an interruption or a lagging store is repaired:

- status `processing`, but no worker: its lease expires, and the next worker takes the page (`leases.py`).
- page or status written, batch or queue not: the entry is still there; the next worker finds a status that has ended,
  brings the batch in line with it and removes the entry (`decide.py`).
- a newer upload meanwhile: the result is discarded and the entry stays (`commit.py`). If a result went over the newer
  upload all the same, the next look notices and has the page uploaded again (`lost_uploads.py`).
- a page that waits without a message in a shared queue: the ledger knows (`publishing/messages.py`), or
  `cloudflare_queue.py` finds it.
- an upload or an operator's command killed halfway: the page waits until that command has run again.
"""
