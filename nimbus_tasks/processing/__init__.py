"""nimbus:process: workers that take pages from the queue, have them optimised, and write down what came of it.

    queue --source--> claimed --intake--> taken --worker--> tried --commit--> record, log, status
                                                                  --recorder--> batches, queue

A page's queue entry goes last, and its claim after that. So whatever is killed wherever, either the entry is still
there and another worker takes the page once the claim's lease has run out, or everything has been written.

Where no page can be optimised (the key, the account's money, a spend cap), the run stops and gives back what it holds;
that was no try (`shift.py`). What an optimiser may spend, and where its answers are kept, is in `choosing.py`.

What heals what a killed process, or a store that lags, has left:

- status `processing`, nobody at it: its lease runs out, and the next worker takes it (`claims.py`).
- page or status written, batch or queue not: the entry is still there; who takes it finds a status that has ended,
  brings the batch in line with it and drops the entry (`standing.py`).
- another upload meanwhile: the result is thrown away and the entry stays (`commit.py`). Should a store that cannot
  compare and set have let the result go over the newer upload, the next look sees that the record is older than its
  batch says, forgets it in the ledger and says that it must be uploaded again (`overwritten.py`).
- a page that waits and that no message of a shared queue names: the ledger knows (`queues/`), or `missed.py` finds it.
- an upload or an operator's command killed halfway: the page waits until that command has run again.
"""
