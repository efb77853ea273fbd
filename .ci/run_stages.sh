# shellcheck shell=bash
# shellcheck disable=SC2154 # all, folder: those who read this set them
# The part that .ci/run and .ci/deep have in common. Each sets, before it reads this:
#   all      the names of its stages, in their order
#   folder   where the stages are
# Its own head, from the second line to the first that is not a comment, is what --help prints.

usage() { sed -n '2,/^[^#]/{/^#/!d;s/^# \{0,1\}//;p}' "$0"; }

# The second line of a stage says what it does.
list() {
  local stage
  for stage in "${all[@]}"; do
    printf '%-12s%s\n' "$stage" "$(sed -n '2s/^# //p' "$folder/$stage.sh")"
  done
}

minutes() { printf '%d:%02d' "$(($1 / 60))" "$(($1 % 60))"; }
row() { table+=$(printf '%-12s %6s  %s' "$1" "$(minutes "$2")" "$3")$'\n'; }

# Runs the stages that the arguments name, or all of them, up to the first failure, and prints how long each took.
run_stages() {
  case "${1-}" in
    --list) list; return ;;
    --help) usage; return ;;
  esac
  local stages=("$@") stage start status took table='' failed=0
  [ "$#" -gt 0 ] || stages=("${all[@]}")
  for stage in "${stages[@]}"; do
    if [[ " ${all[*]} " != *" $stage "* ]]; then
      { echo "no such stage: $stage"; usage; list; } >&2
      return 2
    fi
  done
  for stage in "${stages[@]}"; do
    printf '\n=== %s\n' "$stage"
    start=$SECONDS status=0
    # A process of its own: within a condition a function would go on after its first failure.
    bash "$folder/$stage.sh" || status=$?
    took=$((SECONDS - start))
    if [ "$status" != 0 ]; then
      row "$stage" "$took" "failed with status $status"
      failed=1
      break
    fi
    row "$stage" "$took" passed
    printf '\n=== %s took %s\n' "$stage" "$(minutes "$took")"
  done
  printf '\n=== durations\n%s%-12s %6s\n' "$table" all "$(minutes "$SECONDS")"
  [ "$failed" = 0 ] || echo "FAILED: the stage $stage" >&2
  return "$failed"
}
