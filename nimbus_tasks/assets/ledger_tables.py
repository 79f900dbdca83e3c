"""The tables of the ledger.

- map, use: maps that were read, and the files that their pages refer to, with the alt texts there.
- file: digests, each with the stamp that the file had when it was read.
- made: copies of a picture, by its digest.
- stored: what a store holds, or was sent. recorded, context: digests of its record at the target, and of the context
  that the service has. used: the last day on which the site had it.
- replaced: addresses in pages that public ones have replaced.
- resumable: uploads in parts that have not ended.
- baseline, baseline_folder: see `pipeline/asset_baseline.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nimbus_tasks.project.sqlite import log_ahead, renew_tables

if TYPE_CHECKING:
    from nimbus_tasks.project.sqlite import Connection

_VERSION = 9
_SCHEMA = f"""
PRAGMA user_version = {_VERSION};
CREATE TABLE map(
    folder TEXT, name TEXT, mtime INTEGER, size INTEGER, ctime INTEGER, PRIMARY KEY(folder, name)
) WITHOUT ROWID;
CREATE TABLE use(
    path TEXT, map_file TEXT, source_path TEXT NOT NULL, url TEXT NOT NULL, title TEXT NOT NULL, alt BLOB NOT NULL,
    PRIMARY KEY(path, map_file)
) WITHOUT ROWID;
CREATE INDEX use_by_map ON use(map_file);
CREATE TABLE file(
    path TEXT PRIMARY KEY, mtime INTEGER, size INTEGER, ctime INTEGER,
    sha256 TEXT NOT NULL, content_type TEXT NOT NULL, width INTEGER NOT NULL, height INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE made(original TEXT PRIMARY KEY, copies BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE stored(
    store TEXT, sha256 TEXT, location BLOB, at TEXT NOT NULL, recorded TEXT NOT NULL DEFAULT '',
    used TEXT NOT NULL DEFAULT '', context TEXT NOT NULL DEFAULT '',
    PRIMARY KEY(store, sha256)
) WITHOUT ROWID;
CREATE TABLE replaced(path TEXT PRIMARY KEY, addresses BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE resumable(sha256 TEXT PRIMARY KEY, location TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE baseline(conditions TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE baseline_folder(path TEXT PRIMARY KEY, files BLOB NOT NULL) WITHOUT ROWID;
"""
#: What ends the baseline, whoever writes it.
_CHANGES = [
    *(f"{change} ON {table}" for change in ("INSERT", "DELETE", "UPDATE") for table in ("use", "file", "made")),
    *(f"{change} ON stored" for change in ("INSERT", "DELETE", "UPDATE OF location, at, recorded, context")),
]
_END_BASELINE = "BEGIN DELETE FROM baseline; END"
_TRIGGERS = [f"CREATE TRIGGER change{number} AFTER {change} {_END_BASELINE}" for number, change in enumerate(_CHANGES)]


def prepare(connection: Connection) -> None:
    """Set a connection up, and make the tables where there are none, or those of another version."""
    log_ahead(connection)
    connection.execute("PRAGMA synchronous = FULL")  # otherwise a power cut could bring an older row back
    renew_tables(connection, _VERSION, (*_SCHEMA.split(";"), *_TRIGGERS))
