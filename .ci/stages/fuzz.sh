#!/usr/bin/env bash
# fuzzing with the address sanitizer: a few seconds for each target of fuzz/, or B24_FUZZ_SECONDS
source .ci/common.sh
source .ci/fuzzing.sh

build_fuzz_targets
for target in $(fuzz_targets); do
  step "$target"
  fuzz_target "$target" "${B24_FUZZ_SECONDS-7}"
done
