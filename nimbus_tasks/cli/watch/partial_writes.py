"""Files that somebody is still writing. They are left as they were until they are whole.

Three signs: the file changed a moment ago, and it is empty, or some process has it open for writing. HTML itself says
nothing: a page without `</html>` is a whole page. The second sign is there only where the system can give a lease
(Linux, on files of one's own); elsewhere a page that is written with longer pauses than the debounce may be read half.
"""

from __future__ import annotations

import fcntl
import os
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nimbus_tasks.project.scan import Scan

#: A file that has not changed for so long, in seconds, is as its writer wants it, empty or not.
YOUNG = 2.0


def unfinished(scan: Scan) -> Iterator[str]:
    """Yield the files of a scan that somebody is still writing.

    To take a lease for a moment needs that SIGIO is ignored: it is the answer to who opens the file just then.
    """
    now = time.time_ns()
    oldest, newest = now - int(YOUNG * 1e9), now + int(YOUNG * 1e9)
    for path, (_, size, changed) in scan.files.items():
        if oldest < changed < newest and (not size or _open_for_writing(path)):
            yield path


def _open_for_writing(path: str) -> bool:
    if not hasattr(fcntl, "F_SETLEASE"):
        return False
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False  # gone, or not to be read: extraction says so
    try:
        # A lease to read is given only while nobody has the file open to write.
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    except OSError:
        return False  # no leases on this file system, or somebody else's file
    finally:
        os.close(descriptor)
    return False
