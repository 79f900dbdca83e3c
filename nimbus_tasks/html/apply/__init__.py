"""Optimised content back into the HTML it came from. Only its own bytes change; what is not certain is refused.

Pure but for `files.py` (pages on disk): the same page, map and changes give the same bytes, everywhere and always.
"""

from nimbus_tasks.html.apply.change import Applied
from nimbus_tasks.html.apply.page import apply_changes
from nimbus_tasks.model.changes import Change

__all__ = ["Applied", "Change", "apply_changes"]
