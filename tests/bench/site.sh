#!/bin/bash
# mailsite as the yardstick wants it, on 127.0.0.1 (SMTP 4025, IMAP 4143): the users of peer.sh, passwords as argon2id.
#   site.sh start | stop | wipe
# It is `mailsite demo` with another document: demo takes passwords in clear from loopback, as the peer does here; all else is
# as in `mailsite run`. State lives in $SITE_DIR; MAILSITE_ENGINE names another engine. All processes run in the cpuacct cgroup `mailsite`.
set -e
here=$(cd "$(dirname "$0")" && pwd)
. "$here/cgroup.sh"
SITE=${SITE_DIR:-${TMPDIR:-/tmp}/mailsite-bench}; CG=$(cgroup mailsite)
mailsite=${MAILSITE:-$here/../../dist/mailsite}
document() {
  printf '{"schema":1,"host":"mx.example.test","domains":[{"name":"example.test"}],"accounts":['
  for i in $(seq 1 100); do [ "$i" = 1 ] || printf ','; printf '{"address":"user%d@example.test","password":{"plain":"test-only"}}' "$i"; done
  printf ']}'
}
case ${1:-} in
start)
  mkdir -p "$SITE"; ulimit -n 20000
  [ -z "${MAILSITE_ENGINE:-}" ] || [ -e "$SITE/data" ] || document | "$mailsite" apply - --data "$SITE/data" --engine "$MAILSITE_ENGINE" >/dev/null
  in_cgroup "$CG" setsid "$mailsite" demo --data "$SITE/data" --listen 127.0.0.1 --port-offset 4000 >>"$SITE/out" 2>&1 </dev/null &
  [ -e "$SITE/configured" ] && exit 0
  wait_port 4143
  for _ in $(seq 1 100); do grep -q 4143 "$SITE/out" && break; sleep 0.1; done # the demo has filled its own mailboxes
  document | "$mailsite" apply - --data "$SITE/data" >/dev/null
  touch "$SITE/configured" ;;
stop)
  for pid in $(cat "$CG/cgroup.procs" 2>/dev/null); do kill -9 "$pid" 2>/dev/null || true; done
  wait_empty "$CG" ;;
wipe) rm -rf "$SITE" ;;
*) sed -n 2,5p "$0"; exit 2 ;;
esac
