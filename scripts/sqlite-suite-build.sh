#!/usr/bin/env bash
# Fetches the source package of Debian's SQLite and builds the interpreter of its TCL tests, outside the repository; what is
# there already is left alone. Prints the directory: source/ is the unpacked package, build/testfixture the interpreter.
set -euo pipefail

suite="${XDG_CACHE_HOME:-$HOME/.cache}/mvfuse/sqlite-suite"
say() { echo "sqlite-suite: $1" >&2; }

# file:package
missing=()
for pair in /usr/include/tcl8.6/tcl.h:tcl8.6-dev /usr/include/zlib.h:zlib1g-dev /usr/bin/dpkg-source:dpkg-dev \
  /usr/bin/gcc:gcc /usr/bin/make:make /usr/include/stdio.h:libc6-dev; do
  [ -e "${pair%%:*}" ] || missing+=("${pair##*:}")
done
if [ "${#missing[@]}" -gt 0 ]; then
  [ "$(id -u)" -eq 0 ] || { say "run as root once, or: sudo apt-get install ${missing[*]}"; exit 1; }
  say "installing ${missing[*]}"
  apt-get update -qq >&2
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

mkdir -p "$suite"
if [ ! -e "$suite/source/src/sqlite.h.in" ]; then
  # The machine's own sources of Debian's packages, asked for source packages, in lists of their own: nothing of the
  # machine's is changed.
  apt="$suite/apt"
  rm -rf "$apt" "$suite/source"
  mkdir -p "$apt/parts" "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/package"
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
    [ ! -e "$file" ] || sed -n 's/^deb\([[:space:]].*debian\)/deb-src\1/p' "$file" >"$apt/parts/$(basename "$file" .list).list"
  done
  for file in /etc/apt/sources.list.d/*.sources; do
    if grep -qs '/debian' "$file"; then sed 's/^Types:.*/Types: deb-src/' "$file" >"$apt/parts/$(basename "$file")"; fi
  done
  options=(-qq -o Dir::Etc::SourceList=/dev/null -o "Dir::Etc::SourceParts=$apt/parts" -o "Dir::State::Lists=$apt/lists"
    -o "Dir::Cache=$apt/cache" -o APT::Sandbox::User="")
  say "fetching the source package sqlite3"
  apt-get "${options[@]}" update >&2
  (cd "$apt/package" && apt-get "${options[@]}" source sqlite3 >/dev/null)
  mv "$apt"/package/sqlite3-*/ "$suite/source"
  basename "$apt"/package/sqlite3_*.dsc .dsc >"$suite/version"
  rm -rf "$apt" "$suite/build"
fi

if [ ! -x "$suite/build/testfixture" ]; then
  say "building the interpreter of the tests (a minute)"
  rm -rf "$suite/build"
  mkdir -p "$suite/build"
  cd "$suite/build"
  if ! {
    ../source/configure --with-tcl=/usr/lib/tcl8.6 --enable-all &&
      # SQLite's makefile leaves syncs out to save time; they are what commits on a mount.
      sed -i 's/ -DSQLITE_NO_SYNC=1 / /' Makefile && ! grep -q NO_SYNC Makefile &&
      nice make -j2 testfixture
  } >build.log 2>&1; then
    tail -20 build.log >&2
    say "not built: $suite/build/build.log"
    exit 1
  fi
fi
echo "$suite"
