#!/bin/sh
# backup.sh FOLDER: save what the service holds, while it runs. Start it in the service's folder (the one with .nimbus).
#
# The database first, then the files: the files of a deleted asset are kept for a day, so that all files that the saved
# database names are still there. Files never change, so that another backup to the same FOLDER copies new ones only.
set -eu
umask 077
folder=${1:?"usage: backup.sh FOLDER"}
[ -d .nimbus ] || { echo "There is no .nimbus here: start this in the folder of the service." >&2; exit 1; }
mkdir -p "$folder"

if [ -n "${DATABASE_URL:-}" ]; then
  pg_dump --dbname="$DATABASE_URL" --format=custom --file="$folder/database.new"
else
  python3 - .nimbus/server.db "$folder/database.new" <<'PYTHON'
import pathlib, sqlite3, sys
live = sqlite3.connect(f"{pathlib.Path(sys.argv[1]).absolute().as_uri()}?mode=ro", uri=True)
saved = sqlite3.connect(sys.argv[2])
live.backup(saved)
saved.execute("PRAGMA journal_mode = DELETE")
PYTHON
fi
mv "$folder/database.new" "$folder/database"
cp -p .nimbus/project.toml "$folder/"
# What makes doit find the commands: a folder has one of them, or is started with `python -m nimbus_tasks`.
for file in dodo.py pyproject.toml; do
  [ ! -e "$file" ] || cp -p "$file" "$folder/"
done

# With the store s3 there are none here: the bucket has its own versions and copies.
for kind in assets thumbnails; do
  [ -d ".nimbus/uploads/$kind" ] || continue
  mkdir -p "$folder/uploads"
  # Again where a file was deleted under its hands.
  cp -Rpu ".nimbus/uploads/$kind" "$folder/uploads/" || cp -Rpu ".nimbus/uploads/$kind" "$folder/uploads/"
done
echo "Saved in $folder"
