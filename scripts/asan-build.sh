#!/usr/bin/env bash
# Builds the native addon with AddressSanitizer into native-shim/build-asan, apart from the ordinary build.
# Prints nothing but errors. Run something against it with scripts/asan-run.sh.
set -euo pipefail
cd "$(dirname "$0")/.."

target=native-shim/build-asan
mkdir -p "$target"
# node-gyp always builds beside binding.gyp, so this build gets a copy of it; its path to the sources is kept by the link.
cp native-shim/binding.gyp "$target/"
ln -sfn ../src "$target/src"

# npm puts its own node-gyp on the path of the scripts that it runs.
gyp=(node-gyp)
command -v node-gyp >/dev/null || gyp=(node "$(npm root -g 2>/dev/null)/npm/node_modules/node-gyp/bin/node-gyp.js")
options=()
prefix=$(node -p 'require("path").dirname(require("path").dirname(process.execPath))')
if [[ -f $prefix/include/node/node_api.h ]]; then options+=("--nodedir=$prefix"); fi
if ! log=$("${gyp[@]}" rebuild --directory "$target" "${options[@]}" -- -Dsanitize=address 2>&1); then
  echo "$log" >&2
  exit 1
fi
