#!/bin/bash
#
# Runs test files side by side: prove.sh JOBS FILE...  Where some fail, it ends
# with what they said, and the summary once more.

set -o pipefail

cd "$(dirname "$0")/../.." || exit 1
output=objs/output
rm -rf $output
mkdir -p $output

prove -j"$1" --exec t/lib/run.sh "${@:2}" | tee $output/summary && exit

for tap in $(grep -l '^not ok' $output/*.tap); do
    echo
    echo "--- $tap"
    grep '^not ok' "$tap"
    tail -n 60 "${tap%.tap}.err"
done

echo
sed -n '/^Test Summary Report/,$p' $output/summary
exit 1
