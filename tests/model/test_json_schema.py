"""The schemas of documents: made from the structs, and as strict as what is written."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

import msgspec
import pytest
from jsonschema import Draft7Validator, Draft202012Validator
from msgspec import UNSET, Struct, UnsetType

from nimbus_tasks.cli import tasks
from nimbus_tasks.cli.schemas import DOCUMENTS, documents_of, write_schemas
from nimbus_tasks.model.json_schema import CURRENT, schema_of_document, schema_of_settings
from nimbus_tasks.project.init import settings_text

if TYPE_CHECKING:
    from pathlib import Path

    from nimbus_tasks.cli.schemas import Document


class Inner(Struct):
    """What is
    inside."""

    kind: str = "plain"


class Sparse(Struct, omit_defaults=True):
    name: str
    note: str = ""


class Tagged(Struct, tag_field="event", tag="one"):
    number: int = 1


class Other(Struct, tag_field="event", tag="other"):
    number: int = 2


class Pair(NamedTuple):
    first: int
    second: int


class Outer(Struct):
    inner: Inner
    many: list[Sparse] = []
    by_name: dict[str, Inner] = {}
    maybe: str | UnsetType = UNSET
    either: int | None = None
    pair: Pair = Pair(1, 2)


def test_only_fields_that_are_always_printed_are_required() -> None:
    schema = schema_of_document(Outer, "An outer")
    assert (schema["$schema"], schema["title"], schema["type"]) == (CURRENT, "An outer", "object")
    assert schema["required"] == ["inner", "many", "by_name", "either", "pair"]
    assert schema["$defs"]["Inner"]["required"] == ["kind"]
    assert schema["$defs"]["Sparse"]["required"] == ["name"]
    assert schema["$defs"]["Inner"]["description"] == "What is\ninside."


def test_a_list_of_documents_has_a_schema_too() -> None:
    schema = schema_of_document(list[Inner], "Inners")
    assert (schema["type"], schema["title"], schema["items"]) == ("array", "Inners", {"$ref": "#/$defs/Inner"})
    assert schema["$defs"]["Inner"]["required"] == ["kind"]


def test_the_field_that_tells_documents_apart_is_required() -> None:
    schema = schema_of_document(Tagged | Other, "One or the other")
    assert schema["$defs"]["Tagged"]["required"] == ["event", "number"]
    validator = Draft202012Validator(schema)
    assert validator.is_valid({"event": "other", "number": 1})
    assert not validator.is_valid({"number": 1})


def test_settings_may_hold_no_key_that_nobody_knows() -> None:
    validator = Draft7Validator(schema_of_settings(Outer, "Settings"))
    assert validator.is_valid({"inner": {}})
    assert not validator.is_valid({"inner": {}, "outher": 1})
    assert not validator.is_valid({"inner": {"kinds": "x"}})
    assert validator.is_valid({"inner": {}, "by_name": {"any": {}}})


def test_the_settings_that_init_writes_are_what_their_schema_says() -> None:
    written = tomllib.loads(settings_text("proj_0123456789ab", "A site", "example.com", "dist", "2026-11-21T12:00:00Z"))
    (document,) = (each for each in DOCUMENTS if each.name == "project")
    validator = Draft7Validator(document.schema())
    assert [error.message for error in validator.iter_errors(written)] == []
    written["upload"] = {"concurency": 5}
    assert not validator.is_valid(written)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_each_schema_is_a_schema_and_each_field_is_described_by_its_struct(document: Document) -> None:
    schema = document.schema()
    validator = Draft7Validator if document.name == "project" else Draft202012Validator
    validator.check_schema(schema)
    assert schema["title"] == document.title
    described = [schema, *schema["$defs"].values()]
    for shape in get_args(document.shape) or [document.shape]:
        fields = {field.encode_name for field in msgspec.structs.fields(shape)}
        assert any(each.get("properties", {}).keys() - {"event"} == fields for each in described)


def test_every_command_has_a_document_and_no_document_a_command_that_is_not_there() -> None:
    creators = [getattr(tasks, name) for name in tasks.__all__ if name.startswith("task_")]
    made: list[Any] = []
    for create in creators:
        created = create()
        made += [created] if hasattr(created, "name") else list(created)
    commands = {task.name for task in made if not task.name.startswith("_")}
    assert {name for name in commands if not documents_of(name)} == set()
    assert {name for document in DOCUMENTS for name in document.tasks} == commands
    for task in made:
        if task.name in commands:
            assert {"json", "quiet", "verbose"} <= {option["name"] for option in task.params}, task.name


def test_the_schemas_are_written_into_a_folder(tmp_path: Path) -> None:
    written = write_schemas(tmp_path / "new")
    assert sorted(tmp_path.glob("new/*")) == sorted(written)
    assert [file.name for file in written] == [f"{each.name}.json" for each in DOCUMENTS]
