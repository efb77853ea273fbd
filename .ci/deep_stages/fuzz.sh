#!/usr/bin/env bash
# fuzzing with the address sanitizer: B24_FUZZ_HOURS (1) for each target of fuzz/, B24_FUZZ_JOBS (2) at a time
source .ci/common.sh
source .ci/fuzzing.sh

hours=${B24_FUZZ_HOURS-1} jobs=${B24_FUZZ_JOBS-2}
seconds=$(awk -v hours="$hours" 'BEGIN { printf "%d", hours * 3600 }')

build_fuzz_targets

export -f fuzz_target
step "$hours h for each target, $jobs at a time"
# xargs fails when one of them does.
fuzz_targets | xargs -P "$jobs" -I '{}' bash -c 'set -euo pipefail; fuzz_target "$1" "$2"' _ '{}' "$seconds"
