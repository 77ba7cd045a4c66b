#!/bin/sh
#
# Runs one test file with a server root of its own, so that files can run side
# by side: prove --exec t/lib/run.sh

root=$(cd "$(dirname "$0")/../.." && pwd)
TEST_NGINX_SERVROOT=$root/objs/servroot/$(basename "$1" .t)
TEST_NGINX_RANDOMIZE=1
export TEST_NGINX_SERVROOT TEST_NGINX_RANDOMIZE

mkdir -p "$root/objs/servroot"

case "$1" in
    *.t) exec perl "$@" ;;
    *)   exec "$@" ;;
esac
