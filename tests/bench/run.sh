#!/bin/bash
# `npm run bench`: mailsite against Postfix and Dovecot (mdbox) from Debian, on this machine, in turns, in one run.
# Prints the table of the README and leaves every figure in tests/bench/results/. Needs root and Debian (it installs the peer).
#   run.sh [REPEATS] [SERVER ...]       3 repeats of `peer mailsite` unless told otherwise
set -eu
cd "$(dirname "$0")"
export PATH="$PWD/../../node_modules/.bin:$PATH"
. ./cgroup.sh
repeats=${1:-3}; shift || true
servers=("$@"); [ $# -gt 0 ] || servers=(peer mailsite)
[ "$(id -u)" = 0 ] || { echo 'npm run bench needs root: it installs Postfix and Dovecot from Debian and counts CPU in a cgroup' >&2; exit 1; }
ulimit -n 20000

results=results/$(date -u +%Y%m%dT%H%M%S); mkdir -p "$results"; results=$PWD/$results
work=$(mktemp -d -p "${BENCH_DIR:-${TMPDIR:-/tmp}}" bench.XXXXXX); chmod 755 "$work"
export PEER_DIR=$work/peer SITE_DIR=$work/site

control() { case $1 in peer) if [ "$2" = start ]; then ./peer.sh start mdbox; else ./peer.sh "$2"; fi ;; mailsite) ./site.sh "$2" ;; esac; }
trap 'for s in "${servers[@]}"; do control "$s" stop >/dev/null 2>&1 || true; done; rm -rf "$work"' EXIT
for s in "${servers[@]}"; do if [ "$s" = peer ]; then ./peer.sh install; fi; done

measure() { # server test options...
  local server=$1 test=$2 ports; shift 2
  case $server in peer) ports='--smtp 2525 --imap 2143' ;; mailsite) ports='--smtp 4025 --imap 4143' ;; esac
  echo "  $server $test" >&2
  # shellcheck disable=SC2086
  timeout 600 bun bench.ts "$test" $ports --label "$server" --out "$results/$server.jsonl" --server "cgroup:$(cgroup "$server")" "$@" >>"$results/$server.log" 2>&1 ||
    { echo "  $server $test failed:" >&2; tail -n 3 "$results/$server.log" | cut -c 1-300 >&2; }
}
for k in $(seq 1 "$repeats"); do
  for s in "${servers[@]}"; do
    echo "repeat $k, $s" >&2
    control "$s" start
    measure "$s" smtp-ingest --conns 20 --messages 2000 --seed "$k"
    measure "$s" imap-login-select --conns 10 --logins 2000
    measure "$s" imap-fill --messages 10000
    if [ "$k" = 1 ]; then measure "$s" imap-fetch; else measure "$s" imap-fetch --no-cold; fi
    measure "$s" imap-ops
    measure "$s" imap-search
    measure "$s" imap-idle --idlers 1000 --messages 60
    control "$s" stop
    if [ "$k" = "$repeats" ]; then
      case $s in
      peer) measure "$s" cold-start --start "PEER_DIR=$PEER_DIR ./peer.sh start mdbox" --stop "PEER_DIR=$PEER_DIR ./peer.sh stop" ;;
      mailsite) measure "$s" cold-start --start "SITE_DIR=$SITE_DIR ./site.sh start" --stop "SITE_DIR=$SITE_DIR ./site.sh stop" ;;
      esac
    fi
  done
done
cat "$results"/*.jsonl >"$results/all.jsonl"
bun table.ts "$results/all.jsonl" >"$results/table.md"
bun readme.ts "$results/all.jsonl" | tee "$results/readme.md"
echo "every figure: ${results#"$PWD"/}/table.md" >&2
