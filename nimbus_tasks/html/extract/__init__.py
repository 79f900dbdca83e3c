"""HTML bytes -> map. Pure: the same page and rules give the same map, everywhere and always."""

from nimbus_tasks.html.extract.check import check_rules
from nimbus_tasks.html.extract.page import Extraction, extract, extract_page
from nimbus_tasks.html.extract.rules import DEFAULT_FOLD, EXTRACTOR_VERSION, Rules, RulesError, Skipped

__all__ = [
    "DEFAULT_FOLD",
    "EXTRACTOR_VERSION",
    "Extraction",
    "Rules",
    "RulesError",
    "Skipped",
    "check_rules",
    "extract",
    "extract_page",
]
