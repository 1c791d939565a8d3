#!/bin/bash
# A Debian root system in $MAILSITE_TEST_CACHE, made once by debootstrap from this machine's own mirror.
#   root.sh bare      minbase, as small as Debian is
#   root.sh booted    minbase, systemd and dbus
set -eu
cache=${MAILSITE_TEST_CACHE:-/var/cache/mailsite-tests}
root=$cache/$1
[ -e "$root/.complete" ] && exit 0
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -v security | head -n 1)
suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
include=
[ "$1" = booted ] && include=--include=systemd,systemd-sysv,dbus,iproute2
mkdir -p "$cache/debs"
rm -rf "$root"
start=$SECONDS
debootstrap --variant=minbase --cache-dir="$cache/debs" $include "$suite" "$root" "$mirror" >"$cache/$1.log" 2>&1 || { tail -n 20 "$cache/$1.log"; exit 1; }
touch "$root/.complete"
echo "made the Debian root '$1' in $((SECONDS - start)) s"
