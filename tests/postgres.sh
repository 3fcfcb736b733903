#!/usr/bin/env bash
# Starts a PostgreSQL server for tests, prints its connection string once it accepts connections, and stops and removes it at
# the end of its standard input. It listens on a socket in its own directory only. Needs PostgreSQL (Debian: postgresql).
#
# With TACTFUL_TEST_TLS_DIRECTORY, which holds server.crt and server.key, it also listens on TACTFUL_TEST_PORT of 127.0.0.1, and
# accepts only encrypted connections there.
set -euo pipefail

programs=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
if [[ -z $programs ]]; then
    echo "no PostgreSQL under /usr/lib/postgresql; install it, on Debian with: apt-get install postgresql" >&2
    exit 1
fi

# In memory where it can be: the tests are about answers, not about the disk.
directory=$(mktemp -d "$(test -w /dev/shm && echo /dev/shm || echo /tmp)/tactful-postgres.XXXXXX")
run=()
if [[ $(id -u) == 0 ]]; then
    # The server refuses to run as root.
    chown postgres "$directory"
    run=(setpriv --reuid=postgres --regid=postgres --init-groups)
fi
cd "$directory"
trap 'rm -rf "$directory"' EXIT
"${run[@]}" "$programs/initdb" --pgdata=data --username=tactful --auth=trust --encoding=UTF8 --locale=C --no-sync >initdb.log
port=${TACTFUL_TEST_PORT:-5432}
listen=(-c listen_addresses=)
if [[ -n ${TACTFUL_TEST_TLS_DIRECTORY:-} ]]; then
    for file in server.crt server.key; do
        install --mode=600 ${run:+--owner=postgres} "$TACTFUL_TEST_TLS_DIRECTORY/$file" "data/$file"
    done
    printf '%s\n' "local all all trust" "hostssl all all 127.0.0.1/32 trust" >data/pg_hba.conf
    listen=(-c listen_addresses=127.0.0.1 -c ssl=on)
fi
"${run[@]}" "$programs/postgres" -D data -k "$directory" -p "$port" "${listen[@]}" -c max_connections=400 \
    -c shared_buffers=64MB >server.log 2>&1 &
server=$!
trap 'kill -QUIT "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; rm -rf "$directory"' EXIT
until "$programs/pg_isready" --quiet --host="$directory" --port="$port"; do
    kill -0 "$server" 2>/dev/null || { cat server.log >&2; exit 1; }
    sleep 0.1
done
echo "host=$directory port=$port user=tactful dbname=postgres"
cat >/dev/null
