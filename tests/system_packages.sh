#!/bin/sh
# Install the system packages that tests use and that are missing, where this user may do so.
set -u
PATH="$PATH:/usr/sbin:/usr/local/sbin"
missing=""
command -v chromium-headless-shell >/dev/null 2>&1 || command -v chromium >/dev/null 2>&1 ||
    missing="chromium-headless-shell fonts-dejavu-core"
command -v nginx >/dev/null 2>&1 || missing="$missing nginx-light"
command -v node >/dev/null 2>&1 || missing="$missing nodejs npm"
command -v cc >/dev/null 2>&1 || missing="$missing gcc libc6-dev"
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "some tests need what is missing here; install: $missing" >&2
    exit 0
fi
echo "installing for the tests: $missing"
log=$(mktemp)
# Run level 1, so that installing nginx does not start it.
export RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086  # a list of words
if ! { apt-get -qq update && apt-get -qq install -y --no-install-recommends $missing; } \
    >"$log" 2>&1; then
    tail -n 5 "$log" >&2
    echo "not installed; the tests that need them are skipped, and fail under CI=true" >&2
fi
rm -f "$log"
