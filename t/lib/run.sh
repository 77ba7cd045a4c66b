#!/bin/sh
#
# Runs one test file with a server root and a free port of its own, so that
# files can run side by side: prove --exec t/lib/run.sh

root=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "$root/objs/servroot"

TEST_NGINX_SERVROOT=$root/objs/servroot/$(basename "$1" .t)
TEST_NGINX_SERVER_PORT=$(perl -MIO::Socket::INET -e '
    print IO::Socket::INET->new(LocalAddr => "127.0.0.1", Listen => 1)
              ->sockport')
export TEST_NGINX_SERVROOT TEST_NGINX_SERVER_PORT

exec perl "$@"
