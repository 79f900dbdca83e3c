"""Documents held to the schemas that we publish, and no field more."""

from __future__ import annotations

import functools
from typing import Any

from jsonschema import Draft202012Validator

from nimbus_tasks.cli.schemas import DOCUMENTS


@functools.cache
def _validator(name: str) -> Draft202012Validator:
    (document,) = (each for each in DOCUMENTS if each.name == name)
    schema = document.schema()
    for definition in (schema, *schema["$defs"].values()):
        if "properties" in definition:
            definition["additionalProperties"] = False
    return Draft202012Validator(schema)


def conforms(document: Any, name: str) -> None:
    """Fail unless a document is what its schema says, with every field described."""
    found = [f"{error.json_path}: {error.message}" for error in _validator(name).iter_errors(document)]
    assert not found, f"{name}: {found}"
