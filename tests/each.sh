#!/bin/bash
# A process for each test file.
#
#   tests/each.sh VITEST … -- FOLDER …     `--exclude FILE` among the words of VITEST leaves a file out
#
# The exit code is 1 when one of them failed; the last line counts them.
set -u
vitest=()
while [ "$1" != -- ]; do
  vitest+=("$1")
  shift
done
shift
failed=0
ran=0
while read -r file; do
  [[ " ${vitest[*]} " != *" --exclude $file "* ]] || continue
  ran=$((ran + 1))
  "${vitest[@]}" "$file" </dev/null || failed=$((failed + 1))
done < <(find "$@" -name '*.test.ts' | sort)
echo "$ran files, $failed failed"
[ "$ran" -gt 0 ] && [ "$failed" = 0 ]
