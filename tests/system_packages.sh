#!/bin/sh
# Install the system packages that tests use and that are missing, where this user may do so.
set -u
command -v chromium >/dev/null 2>&1 && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing chromium for the browser tests"
    log=$(mktemp)
    if apt-get -qq update >"$log" 2>&1 &&
        DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends \
            chromium fonts-dejavu-core >>"$log" 2>&1; then
        rm -f "$log"
    else
        tail -n 5 "$log" >&2
        echo "chromium could not be installed; browser tests will be skipped (or fail in CI)" >&2
    fi
else
    echo "chromium is missing; install it to run the browser tests" >&2
fi
