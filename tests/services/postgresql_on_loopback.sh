#!/usr/bin/env bash
# A PostgreSQL for a test: on loopback, with all that it writes in one folder. Nothing of a cluster that is here
# already is touched, and nothing is left when it ends.
#
#   tests/services/postgresql_on_loopback.sh COMMAND …     starts it, runs the command with it, and stops it
#
# The command finds it by PGHOST, PGPORT, PGUSER, PGPASSWORD and PGDATABASE; the user may make databases. Needs
# Debian's package postgresql, which it installs, as root, where it is missing. PostgreSQL refuses to run as root: it
# runs as the package's user postgres then.
set -euo pipefail

server() { compgen -G '/usr/lib/postgresql/*/bin/postgres' | sort -V | tail -n 1; }

if [ -z "$(server)" ]; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends postgresql-common > /dev/null
    defaults=/etc/postgresql-common/createcluster.conf
    cp -p "$defaults" "$defaults.kept"
    echo 'create_main_cluster = false' >> "$defaults"    # else the package makes a cluster, and starts it
    installed=0
    apt-get install -y -qq --no-install-recommends postgresql > /dev/null || installed=$?
    mv "$defaults.kept" "$defaults"
    [ "$installed" = 0 ]
fi
programs=$(dirname "$(server)")

folder=$(mktemp -d)
pid=
stop() {
    if [ -n "$pid" ]; then
        kill -INT "$pid" 2> /dev/null || true    # ends connections, then itself
        wait "$pid" 2> /dev/null || true
    fi
    rm -rf "$folder"
}
trap stop EXIT

unset "${!PG@}"
export PGHOST=127.0.0.1 PGUSER=mlflow PGDATABASE=mlflow PGPASSWORD
PGPASSWORD=$(head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n')
PGPORT=$(python3 -c 'import socket; free = socket.socket(); free.bind(("127.0.0.1", 0)); print(free.getsockname()[1])')
export PGPORT
echo "$PGPASSWORD" > "$folder/password"    # the folder is its owner's alone
as=()
if [ "$(id -u)" = 0 ]; then
    chown -R postgres: "$folder"
    as=(setpriv --reuid=postgres --regid=postgres --init-groups)
fi
cd "$folder"    # one that the other user may be in
"${as[@]}" "$programs/initdb" --pgdata=data --username="$PGUSER" --pwfile=password --auth=scram-sha-256 \
    --encoding=UTF8 --locale=C.UTF-8 > /dev/null
"${as[@]}" "$programs/postgres" -D "$folder/data" -h 127.0.0.1 -p "$PGPORT" -k "$folder" > "$folder/log" 2>&1 &
pid=$!
for _ in $(seq 300); do
    "$programs/pg_isready" -q && break
    sleep 0.1
done
if ! "$programs/createdb"; then
    cat "$folder/log" >&2
    echo "PostgreSQL did not start." >&2
    exit 1
fi
cd "$OLDPWD"
"$@"
