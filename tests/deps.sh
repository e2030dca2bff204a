#!/bin/sh
# SPDX-License-Identifier: MIT
# tests/deps.sh PACKAGE...: installs the Debian packages that are missing; says nothing where none is.
set -eu
export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive

missing=
for package in "$@"; do
	status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) || status=
	case "$status" in
	installed | triggers-awaited | triggers-pending) ;;
	*) missing="$missing $package" ;;
	esac
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
	echo "deps: these Debian packages are missing, and there is no apt-get to install them:$missing" >&2
	exit 1
fi
if [ "$(id -u)" != 0 ]; then
	echo "deps: missing packages; install them with: sudo apt-get install$missing" >&2
	exit 1
fi

echo "deps: installing$missing"
# Only what fails is worth reading.
log=$(mktemp)
trap 'rm -f "$log"' EXIT
install() {
	apt-get -q update && apt-get -q -y --no-install-recommends -o DPkg::Lock::Timeout=120 \
		-o Dpkg::Use-Pty=0 install $missing
}
if ! install >"$log" 2>&1 </dev/null; then
	cat "$log" >&2
	echo "deps: could not install$missing" >&2
	exit 1
fi
