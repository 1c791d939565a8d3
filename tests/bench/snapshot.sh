#!/bin/bash
# `npm run bench:snapshot`: snapshots of mailsite beside tar and doveadm backup of Dovecot (mdbox) on the same mail, on this
# machine, in one run. Prints the table of the README and leaves every figure in tests/bench/results/. Needs root and Debian.
#   snapshot.sh [REPEATS] [MESSAGES] [SERVER ...]     3 repeats, 43,000 messages (2 GB), `peer mailsite` unless told otherwise
# BENCH_DIR names a folder on the disk to measure, with room for eight times the mail.
set -eu
cd "$(dirname "$0")"
export PATH="$PWD/../../node_modules/.bin:$PATH"
. ./cgroup.sh
repeats=${1:-3}; messages=${2:-43000}; shift || true; shift || true
servers=("$@"); [ $# -gt 0 ] || servers=(peer mailsite)
[ "$(id -u)" = 0 ] || { echo 'npm run bench:snapshot needs root: it installs Postfix and Dovecot from Debian and counts CPU in a cgroup' >&2; exit 1; }
ulimit -n 20000

results=$PWD/results/snapshot-$(date -u +%Y%m%dT%H%M%S); mkdir -p "$results"
work=$(mktemp -d -p "${BENCH_DIR:-/var/tmp}" bench.XXXXXX); chmod 755 "$work"
export PEER_DIR=$work/peer SITE_DIR=$work/site
site=$(realpath ../../dist/mailsite)
trap './peer.sh stop >/dev/null 2>&1; ./site.sh stop >/dev/null 2>&1; rm -rf "$work"' EXIT

say() { echo "  $*" >&2; }
took() { # label name octets command...: seconds and MB/s of a command, and its largest anonymous memory
  local label=$1 name=$2 octets=$3; shift 3
  say "$label: $name"
  bun took.ts --label "$label" --name "$name" --octets "$octets" --out "$results/figures.jsonl" -- "$@" >>"$results/log" 2>&1 || { say "failed: $name"; tail -n 3 "$results/log" >&2; }
}
deliver() { # server name messages options...
  local server=$1 name=$2 count=$3 ports; shift 3
  case $server in peer) ports='--smtp 2525 --imap 2143' ;; mailsite) ports='--smtp 4025 --imap 4143' ;; esac
  # shellcheck disable=SC2086
  bun bench.ts smtp-ingest $ports --label "$server" --messages "$count" --run "$name.$RANDOM" --out "$results/$name.jsonl" --server "cgroup:$(cgroup "$server")" "$@" >>"$results/log" 2>&1
}
octets() { grep -o '"octets":[0-9]*' "$1" | head -1 | cut -d: -f2; }

mail=0
site_begin() {
  say 'mailsite: filling'
  mkdir -p "$SITE_DIR"
  bun fill.ts "$SITE_DIR/data" --messages "$messages" >"$results/fill.json"
  mail=$(octets "$results/fill.json"); touch "$SITE_DIR/configured"
  ./site.sh start; wait_port 4143
}
site_round() { # k
  local k=$1 data=$SITE_DIR/data to=$work/shots key=$work/key
  rm -rf "$to"; sync
  took mailsite 'full' "$mail" "$site" snapshot create --data "$data" --to "$to" --full
  "$site" snapshot key --data "$data" >"$key"
  deliver mailsite new 300 --conns 4 --seed "$((100 + k))"
  took mailsite 'after 300 messages' 0 "$site" snapshot create --data "$data" --to "$to"
  sync; took mailsite 'restore' "$mail" "$site" snapshot restore --from "$to" --data "$work/restored" --key "$key"; rm -rf "$work/restored"
  took mailsite 'verify --deep' "$mail" "$site" snapshot verify --deep --from "$to" --data "$data" --key "$key"
  sync; sleep 3
  deliver mailsite alone 1000 --conns 4 --seed "$((200 + k))"
  rm -rf "$to"; sync; sleep 3
  touch "$work/more"
  while [ -e "$work/more" ]; do rm -rf "$to"; "$site" snapshot create --data "$data" --to "$to" --full >>"$results/log" 2>&1; done &
  local loop=$!
  sleep 1
  deliver mailsite beside 1000 --conns 4 --seed "$((200 + k))"
  rm "$work/more"; wait "$loop"
}
site_end() {
  ./site.sh stop; rm -rf "$work/shots"
  if [ "$messages" -le 50000 ]; then
    say 'mailsite: thirty days'
    bun days.ts "$SITE_DIR/data" "$work/month" --messages "$messages" >"$results/days.json" || say 'failed: thirty days'
  fi
  rm -rf "$work/month" "$SITE_DIR"
}

each_user() { echo "for i in \$(seq 1 100); do doveadm -c $PEER_DIR/etc/dovecot-mdbox.conf $1 || exit 1; done"; }
peer_begin() {
  ./peer.sh install; ./peer.sh start mdbox
  say 'peer: filling'
  deliver peer fill "$messages" --conns 20 --seed 1
}
peer_round() { # k
  local k=$1 mailOctets store=$PEER_DIR/mail copy=$work/copy
  mailOctets=$(octets "$results/fill.json" 2>/dev/null || du -sb "$store" | cut -f1)
  rm -rf "$copy" "$work/tar"; mkdir -p "$copy"; chown vmail "$copy"; sync
  took peer 'tar' "$mailOctets" bash -c "tar -C $store -cf $work/tar . && sync $work/tar"; rm -f "$work/tar"; sync
  took peer 'full' "$mailOctets" bash -c "$(each_user "backup -u user\$i@example.test mdbox:$copy/\$i")"
  deliver peer new 300 --conns 4 --seed "$((100 + k))"
  took peer 'after 300 messages' 0 bash -c "$(each_user "backup -u user\$i@example.test mdbox:$copy/\$i")"
  mkdir -p "$work/restored"; chown vmail "$work/restored"; sync
  took peer 'restore' "$mailOctets" bash -c "$(each_user "-o mail_location=mdbox:$work/restored/\$i backup -R -u user\$i@example.test mdbox:$copy/\$i")"
  rm -rf "$work/restored" "$copy"; sync
}
peer_end() { ./peer.sh stop; ./peer.sh wipe; }

uptime >"$results/load"
order=(); for s in mailsite peer; do case " ${servers[*]} " in *" $s "*) order+=("$s") ;; esac; done
for s in "${order[@]}"; do case $s in mailsite) site_begin ;; peer) peer_begin ;; esac; done
for k in $(seq 1 "$repeats"); do
  for s in "${order[@]}"; do case $s in mailsite) site_round "$k" ;; peer) peer_round "$k" ;; esac; done
  uptime >>"$results/load"
done
for s in "${order[@]}"; do case $s in mailsite) site_end ;; peer) peer_end ;; esac; done
bun snapshot.ts "$results" | tee "$results/readme.md"
echo "every figure: $results" >&2
