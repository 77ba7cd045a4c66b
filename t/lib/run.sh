#!/bin/bash
#
# Runs one test file with a server root and a free port of its own, so that
# files can run side by side: prove --exec t/lib/run.sh.  What it prints is kept
# in objs/output as well, see prove.sh.

set -o pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
name=$(basename "$1" .t)
mkdir -p "$root/objs/servroot" "$root/objs/output"

TEST_NGINX_SERVROOT=$root/objs/servroot/$name
TEST_NGINX_SERVER_PORT=$(perl -MIO::Socket::INET -e '
    print IO::Socket::INET->new(LocalAddr => "127.0.0.1", Listen => 1)
              ->sockport')
export TEST_NGINX_SERVROOT TEST_NGINX_SERVER_PORT

if [ -n "${REFINE_VALGRIND:-}" ]; then
    exec "$root/t/lib/valgrind.sh" --file "$@"
fi

perl "$@" 2> "$root/objs/output/$name.err" | tee "$root/objs/output/$name.tap"
status=$?
cat "$root/objs/output/$name.err" >&2
exit $status
