#!/bin/bash
#
# nginx under valgrind: "make valgrind" gives this to Test::Nginx as its nginx.
# The real one is REFINE_NGINX; what valgrind reports of each process goes to a
# file in the folder REFINE_VALGRIND.  As "valgrind.sh --file FILE" it runs a test
# file, for run.sh, and tells what was reported of all its processes.

root=$(cd "$(dirname "$0")/../.." && pwd)


run_file() {
    local name output found processes

    name=$(basename "$1" .t)
    output=$root/objs/output/$name
    REFINE_VALGRIND=$REFINE_VALGRIND/$name
    export REFINE_VALGRIND

    rm -rf "$REFINE_VALGRIND"
    mkdir -p "$REFINE_VALGRIND"

    perl "$@" > "$output.out" 2> "$output.err"

    processes=$(find "$REFINE_VALGRIND" -type f | wc -l)
    found=$(find "$REFINE_VALGRIND" -type f -size +0 -exec cat {} +)

    # What a test asserts of times does not hold at a twentieth of the speed:
    # it is told, and the result is valgrind's alone.  The file has to end.

    {
        echo 1..1

        if [ -n "$found" ]; then
            echo "not ok 1 - valgrind has found something"
            echo "$found" | sed 's/^/# /'
        elif [ "$processes" = 0 ] || ! grep -q '^1\.\.' "$output.out"; then
            echo "not ok 1 - the file has not come to its end"
        else
            echo "ok 1 - $processes processes, $(grep -c '^ok' "$output.out") of" \
                 "$(grep -c '^\(not \)\?ok' "$output.out") assertions held"
        fi

        grep '^not ok' "$output.out" | sed 's/^/# /'
    } | tee "$output.tap"

    ! grep -q '^not ok' "$output.tap"
}


case "${1:-}" in
    --file)
        shift
        run_file "$@"
        exit
        ;;
    -v | -V)
        exec "$REFINE_NGINX" "$@"
        ;;
esac

exec valgrind -q --num-callers=40 --fair-sched=try --trace-children=yes \
    --leak-check=full --show-leak-kinds=definite \
    --errors-for-leak-kinds=definite --gen-suppressions=all \
    --suppressions="$root/t/lib/valgrind.supp" \
    --log-file="${REFINE_VALGRIND:-$root/objs/valgrind}/%p" \
    "$REFINE_NGINX" "$@"
