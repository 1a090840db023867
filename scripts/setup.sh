#!/usr/bin/env bash
# All set-up on a Debian machine with Node.js 20 or later: system packages that are missing, npm packages, the
# native addon, the compiled program. Safe to run again: what is there already is left alone.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() {
  echo "setup: $1" >&2
  exit 1
}

node_major=$(node -p 'process.versions.node.split(".")[0]' 2>/dev/null) || fail "Node.js 20 or later is needed"
[ "$node_major" -ge 20 ] || fail "Node.js 20 or later is needed, this is $(node --version)"

# program:package
missing=()
for pair in fusermount3:fuse3 sqlite3:sqlite3 sqldiff:sqlite3-tools g++:g++ make:make python3:python3 rsync:rsync; do
  command -v "${pair%%:*}" >/dev/null 2>&1 || missing+=("${pair##*:}")
done
[ -e /usr/include/linux/fuse.h ] || missing+=(linux-libc-dev)
if [ "${#missing[@]}" -gt 0 ]; then
  command -v apt-get >/dev/null || fail "these are missing and there is no apt-get: ${missing[*]}"
  [ "$(id -u)" -eq 0 ] || fail "run as root once, or: sudo apt-get install ${missing[*]}"
  echo "setup: installing ${missing[*]}"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi
[ -e /dev/fuse ] || fail "/dev/fuse is missing: load the fuse module, or give the container the device"

# Node's headers are used where they are installed beside it, so that nothing need be downloaded for them.
prefix=$(node -p 'require("path").dirname(require("path").dirname(process.execPath))')
if [ -z "${npm_config_nodedir:-}" ] && [ -e "$prefix/include/node/node_api.h" ]; then
  export npm_config_nodedir="$prefix"
fi

addon=native-shim/build/Release/mvfuse_native.node
if [ ! -e node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
  echo "setup: installing npm packages and building the native addon (a minute or two)"
  npm ci --no-audit --no-fund --loglevel=error
elif [ ! -e "$addon" ] || [ -n "$(find native-shim -name build -prune -o \( -name '*.cc' -o -name '*.h' -o -name '*.gyp' \) -newer "$addon" -print -quit)" ]; then
  echo "setup: building the native addon"
  npm run --silent install
fi
[ -e "$addon" ] || fail "the native addon was not built"

# An optional package that could not be built is left out by npm; say what that means.
node -e '
  const { optionalDependencies = {}, mvfuse = {} } = require("./package.json");
  for (const name of Object.keys(optionalDependencies)) {
    try { require.resolve(name); }
    catch { console.log(`setup: ${name} is left out: ${mvfuse.without?.[name] ?? "an optional package"}`); }
  }'

npm run --silent build
