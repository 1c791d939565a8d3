#!/bin/bash
# Where the CPU of a server is counted (cgroup v1 or v2), and waiting for it. Sourced by peer.sh and site.sh.
cgroup() {
  local base=/sys/fs/cgroup
  [ -d $base/cpuacct ] && base=$base/cpuacct
  mkdir -p "$base/$1" && echo "$base/$1"
}
in_cgroup() { local group=$1; shift; ( echo $BASHPID >"$group/cgroup.procs"; exec "$@" ); }
wait_port() {
  for _ in $(seq 1 800); do (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return 0; sleep 0.025; done
  echo "port $1 did not open" >&2; return 1
}
wait_empty() {
  for _ in $(seq 1 200); do [ -z "$(cat "$1/cgroup.procs" 2>/dev/null)" ] && return 0; sleep 0.05; done
  echo "still running in $1" >&2; return 1
}
