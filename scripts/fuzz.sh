#!/usr/bin/env bash
# Fuzzes the parsers, guided by coverage, two targets at a time:
#   scripts/fuzz.sh [--merge] [SECONDS [TARGET...]]     600 seconds each and all targets, unless stated
# An input that fails lies in dist-fuzz/findings, and the exit status is 1. --merge then writes the committed corpora
# (test/fuzz/corpus) anew, from what they and this run reached. The program must be compiled (npm run build).
set -euo pipefail
cd "$(dirname "$0")/.."

corpus=test/fuzz/corpus
found=dist-fuzz/corpus
export MVFUSE_FUZZ_MERGE=${MVFUSE_FUZZ_MERGE:-}

build_request() {
  # libFuzzer is part of clang's runtime. Nothing else needs clang, so that it is no part of the set-up.
  if [ -z "$(find /usr/lib/llvm-* -name 'libclang_rt.fuzzer*' -print -quit 2>/dev/null)" ] || ! command -v clang++ >/dev/null; then
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
      echo "fuzz: clang and its runtime are missing: sudo apt-get install clang libclang-rt-dev" >&2
      return 1
    fi
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends clang libclang-rt-dev >/dev/null
  fi
  clang++ -std=c++17 -g -O1 -Inative-shim/src -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
    -o dist-fuzz/request test/fuzz/request.cc native-shim/src/protocol/{init,parse,utf8,xattr}.cc
}

fuzz_request() { # SECONDS
  mkdir -p "$found/request"
  # The value profile rewards nearing the other way of a comparison: what is only wrong close to a limit is found so.
  if dist-fuzz/request -max_total_time="$1" -max_len=4096 -use_value_profile=1 -print_final_stats=1 -verbosity=1 \
    -artifact_prefix=dist-fuzz/findings/request- "$found/request" "$corpus/request" 2>dist-fuzz/request.log; then
    local last
    last=$(grep ' cov: ' dist-fuzz/request.log | tail -n 1)
    echo "request: ok, $(sed -n 's/^stat::number_of_executed_units: *//p' dist-fuzz/request.log) executions" \
      "($(sed -n 's/^stat::average_exec_per_sec: *//p' dist-fuzz/request.log)/s)," \
      "$(sed 's/.*cov: \([0-9]*\) ft: \([0-9]*\).*/\1 places reached, \2 features/' <<<"$last")," \
      "corpus of $(find $corpus/request -type f | wc -l)"
  else
    tail -n 60 dist-fuzz/request.log
    echo "request: FAILED, the input is in dist-fuzz/findings"
    return 1
  fi
}

# The named seeds stay, and the fewest inputs that reach what they do not.
merge_request() {
  local merged=dist-fuzz/merged
  rm -rf "$merged" && mkdir "$merged"
  find "$corpus/request" -type f ! -regex '.*/[0-9a-f]*' -exec cp {} "$merged" \;
  dist-fuzz/request -merge=1 -use_counters=0 -max_len=1024 "$merged" "$found/request" "$corpus/request" 2>/dev/null
  rm -r "$corpus/request" && mv "$merged" "$corpus/request"
}

case ${1:-} in
  --one) # what xargs calls below
    if [ "$2" = request ]; then fuzz_request "$3"; else node dist/test/fuzz/main.js "$2" "$3" $MVFUSE_FUZZ_MERGE; fi
    exit
    ;;
  --merge)
    MVFUSE_FUZZ_MERGE=--merge
    shift
    ;;
esac

seconds=${1:-600}
[ $# -eq 0 ] || shift
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(request rollback-journal super-journal header lock-bytes)
mkdir -p dist-fuzz/findings
if [[ " ${targets[*]} " = *" request "* ]]; then build_request; fi
status=0
printf '%s\n' "${targets[@]}" | xargs -P 2 -I{} bash scripts/fuzz.sh --one {} "$seconds" 2>&1 || status=1
if [ -n "$MVFUSE_FUZZ_MERGE" ] && [[ " ${targets[*]} " = *" request "* ]]; then merge_request; fi
exit $status
