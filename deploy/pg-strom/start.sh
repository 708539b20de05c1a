#!/bin/bash
# Makes the cluster on the first start, with the password POSTGRES_PASSWORD, and becomes the server.
# Arguments go to postgres.
set -euo pipefail

password=${POSTGRES_PASSWORD:?the password of the role postgres}
unset POSTGRES_PASSWORD
# Made aside and then moved: a start that was cut off leaves nothing that looks like a cluster.
if [[ ! -s $PGDATA/PG_VERSION ]]; then
    find "$PGDATA" -mindepth 1 -delete
    new=$PGDATA/new
    initdb -D "$new" -U postgres -E UTF8 --no-locale --auth-local=peer \
        --auth-host=scram-sha-256 --pwfile=<(printf '%s\n' "$password")
    printf 'host all all all scram-sha-256\n' >>"$new/pg_hba.conf"
    cat >>"$new/postgresql.conf" <<'CONF'
listen_addresses = '*'
# Loaded with the server or not at all; it starts several workers of its own.
shared_preload_libraries = '$libdir/pg_strom'
max_worker_processes = 100
CONF
    # Nobody can connect over the network yet.
    pg_ctl -D "$new" -o "-c listen_addresses=''" -w start
    psql -X -v ON_ERROR_STOP=1 -d postgres -c 'CREATE EXTENSION pg_strom'
    pg_ctl -D "$new" -m fast -w stop
    shopt -s dotglob
    # PG_VERSION last: it is what says that the cluster is there.
    mv "$new/PG_VERSION" "$PGDATA/.PG_VERSION"
    mv "$new"/* "$PGDATA"/
    rmdir "$new"
    mv "$PGDATA/.PG_VERSION" "$PGDATA/PG_VERSION"
fi
exec postgres "$@"
