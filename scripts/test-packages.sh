#!/usr/bin/env bash
# Debian packages that only tests need: programs that they run on a mount. Without root, or without a network, the tests that
# need what is missing say so and are skipped.
set -uo pipefail

# file:package
missing=()
for pair in /usr/lib/python3/dist-packages/django:python3-django /usr/bin/getfattr:attr \
  /usr/share/doc/libfaketime:libfaketime /usr/bin/fossil:fossil /usr/bin/gunicorn:gunicorn /usr/bin/sqlcipher:sqlcipher; do
  [ -e "${pair%%:*}" ] || missing+=("${pair##*:}")
done
# Debian packs Python's own tests apart; another Python may have them.
if ! python3 -c 'import test.test_sqlite3' >/dev/null 2>&1 && ! /usr/bin/python3 -c 'import test.test_sqlite3' >/dev/null 2>&1; then
  missing+=("lib$(basename "$(readlink -f /usr/bin/python3)")-testsuite")
fi
[ "${#missing[@]}" -gt 0 ] || exit 0
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
  echo "tests that need ${missing[*]} are skipped: run once as root to install them"
  exit 0
fi
echo "installing what tests need: ${missing[*]}"
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null ||
  echo "these could not be installed, and tests that need them are skipped: ${missing[*]}"
