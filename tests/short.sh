#!/bin/bash
# What `npm test` runs once the executable is built and the source is checked: the simulators, which only compute, beside all
# the other tests, which mostly wait. Theirs is printed when it is over; it fails when either does.
set -u
cd "$(dirname "$0")/.."
export PATH="$PWD/node_modules/.bin:$PATH"

printed=$(mktemp)
trap 'rm -f "$printed"' EXIT
bun --bun vitest run --project sim >"$printed" 2>&1 &
simulators=$!
bun --bun vitest run --project unit
code=$?
wait $simulators || code=1
cat "$printed"
exit $code
