#!/bin/sh
# restore.sh FOLDER: put a backup in place, into a folder without a service, and into an empty database.
# An older version's backup is fine: the service brings the tables up to date when it starts.
set -eu
umask 077
folder=${1:?"usage: restore.sh FOLDER"}
[ -e "$folder/database" ] || { echo "$folder holds no backup." >&2; exit 1; }
for there in .nimbus/server.db .nimbus/uploads; do
  [ ! -e "$there" ] || { echo "$there exists: stop the service, and move it away first." >&2; exit 1; }
done
mkdir -p .nimbus

if [ -n "${DATABASE_URL:-}" ]; then
  pg_restore --dbname="$DATABASE_URL" --no-owner --single-transaction --exit-on-error "$folder/database"
else
  cp "$folder/database" .nimbus/server.db
fi
[ -e .nimbus/project.toml ] || cp -p "$folder/project.toml" .nimbus/
for file in dodo.py pyproject.toml; do
  [ -e "$file" ] || [ ! -e "$folder/$file" ] || cp -p "$folder/$file" .
done
[ ! -d "$folder/uploads" ] || cp -Rp "$folder/uploads" .nimbus/
echo "Restored from $folder: now start the service"
