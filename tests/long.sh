#!/bin/bash
# What needs root, Debian's packages and time (`npm run test:long`): real clients, real peers, kill -9, strangers, containers.
#
#   tests/long.sh [PART ...]        all parts, or those named; the parts lsm-… are others again, on the LSM engine
#
#   MAILSITE_KILLS=100              of the parts that kill: so many times each
#   MAILSITE_CUTS=all               of the part that cuts the network: at each step in every way, not in one (or in one that is named)
#   MAILSITE_ONLY=WORDS             of the parts named: only tests with these words in their titles
#
# Each part runs in namespaces of its own (network, mounts, processes): every port is free there, nothing leads outside,
# and nothing is left behind. Two rows of parts run one beside the other. One line a part; the last line counts them. Of a part
# that fails it shows what did not pass.
set -u
cd "$(dirname "$0")/.."
export PATH="$PWD/node_modules/.bin:$PATH"

packages=(swaks libnet-ssleay-perl curl isync neomutt fetchmail postfix knot python3-dkim debootstrap systemd-container strace openssl iproute2 util-linux bsdutils chromium)
kills=${MAILSITE_KILLS:-}
# those that keep something in an engine
units=unit/storage/,unit/snapshot/,unit/imap/,unit/smtp/,unit/outbound/
# not those of the built program: other parts try it on either
programs=$(printf -- '-unit/%s.test.ts,' uplink/process uplink/poll portal/launch portal/executable portal/copy)
parts=(
  'swaks          clients/swaks.test.ts'
  'curl           clients/curl.test.ts'
  'mbsync         clients/mbsync.test.ts'
  'neomutt        clients/mutt.test.ts'
  'fetchmail      clients/fetchmail.test.ts'
  'node           clients/node.test.ts'
  'dialogs        clients/dialogs.test.ts'
  'dns            clients/dns.test.ts'
  'smtp           hostile/smtp.test.ts'
  'imap           hostile/imap.test.ts'
  'flood          hostile/flood.test.ts'
  'writelog       crash/writelog/writelog.test.ts'
  'faults         crash/faults/faults.test.ts'
  'chain          crash/chain.test.ts'
  'snapshot       crash/snapshot.test.ts'
  'full           crash/full.test.ts'
  'kill           crash/kill.test.ts'
  "portal         crash/portal.test.ts       MAILSITE_KILLS=${kills:-15}"
  "lmdb-units     $units                     MAILSITE_TEST_ENGINE=lmdb"
  "lsm-units      $units,unit/portal/,unit/uplink/,$programs  MAILSITE_TEST_ENGINE=lsm"
  'lsm-swaks      clients/swaks.test.ts      MAILSITE_ENGINE=lsm'
  'lsm-curl       clients/curl.test.ts       MAILSITE_ENGINE=lsm'
  'lsm-mbsync     clients/mbsync.test.ts     MAILSITE_ENGINE=lsm'
  'lsm-neomutt    clients/mutt.test.ts       MAILSITE_ENGINE=lsm'
  'lsm-fetchmail  clients/fetchmail.test.ts  MAILSITE_ENGINE=lsm'
  'lsm-node       clients/node.test.ts       MAILSITE_ENGINE=lsm'
  'lsm-dialogs    clients/dialogs.test.ts    MAILSITE_ENGINE=lsm'
  'lsm-postfix    clients/postfix.test.ts    MAILSITE_ENGINE=lsm'
  "lsm-portal     crash/portal.test.ts       MAILSITE_ENGINE=lsm MAILSITE_KILLS=${kills:-10}"
  'lsm-smtp       hostile/smtp.test.ts       MAILSITE_ENGINE=lsm'
  'lsm-imap       hostile/imap.test.ts       MAILSITE_ENGINE=lsm'
  'lsm-flood      hostile/flood.test.ts      MAILSITE_ENGINE=lsm'
  'lsm-chain      crash/chain.test.ts        MAILSITE_ENGINE=lsm'
  "lsm-snapshot   crash/snapshot.test.ts     MAILSITE_ENGINE=lsm MAILSITE_KILLS=${kills:-4}"
  'lsm-full       crash/full.test.ts         MAILSITE_ENGINE=lsm'
  "lsm-kill       crash/kill.test.ts         MAILSITE_ENGINE=lsm MAILSITE_KILLS=${kills:-40}"
)
beside=(
  'ui             ui'
  'postfix        clients/postfix.test.ts'
  'uplink         crash/uplink.test.ts'
  'park           crash/parting.test.ts'
  'lsm-uplink     crash/uplink.test.ts       MAILSITE_ENGINE=lsm'
  'compact        crash/compact.test.ts'
  'bare           container/bare.test.ts'
  'booted         container/booted.test.ts'
  'lsm-booted     container/booted.test.ts   MAILSITE_ENGINE=lsm'
)

fail() { echo "$1" >&2; echo '0 passed, 1 failed'; exit 1; }
[ "$(id -u)" = 0 ] || fail 'npm run test:long needs root: it installs Debian packages, mounts file systems and boots a container'
command -v apt-get >/dev/null || fail 'npm run test:long needs Debian or Ubuntu (apt-get): it installs real mail programs to test against'
[ -x "${MAILSITE:-dist/mailsite}" ] || fail 'dist/mailsite is not there: npm run build makes it'

# The Debian root systems that the container parts start from, kept for the next run.
export MAILSITE_TEST_CACHE=${MAILSITE_TEST_CACHE:-/var/cache/mailsite-tests}

install_packages() {
  local missing=() name
  for name in "${packages[@]}"; do dpkg-query -W -f '${Status}' "$name" 2>/dev/null | grep -q 'ok installed' || missing+=("$name"); done
  [ ${#missing[@]} = 0 ] && { echo "all Debian packages are here: ${packages[*]}"; return; }
  echo "installing from Debian: ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  # a package must not start its service here: the tests start their own
  local policy=/usr/sbin/policy-rc.d made=0 done=0
  [ -e $policy ] || { printf '#!/bin/sh\nexit 101\n' >$policy && chmod 755 $policy && made=1; }
  { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >"$logs/apt" 2>&1 || done=1
  [ $made = 1 ] && rm -f $policy
  [ $done = 0 ] || { tail -n 20 "$logs/apt"; fail 'the Debian packages could not be installed'; }
}

# Everything of a part ends with it: it is process 1 of its namespace. Its environment is the same wherever this runs; only
# the MAILSITE_ variables go through. Whom it asks for names is its own: a part that begins beside it has another.
isolated() {
  local own resolv
  resolv=$(mktemp "$logs/resolv.XXXXXX")
  mapfile -t own < <(env | grep ^MAILSITE_)
  env -i PATH="$PATH" HOME=/root SHELL=/bin/sh LC_ALL=C.UTF-8 NO_COLOR=1 MAILSITE_ISOLATED=1 "${own[@]}" \
    unshare --net --mount --pid --fork --kill-child --mount-proc --propagation private -- bash -c '
    ip link set lo up
    chmod 644 "$0" && mount --bind "$0" "$(readlink -f /etc/resolv.conf)"
    ulimit -n "$(ulimit -Hn)"
    exec "$@"' "$resolv" "$@"
}

run_part() {
  local name=$1 file=$2 start=$SECONDS log="$logs/$1"
  shift 2
  local project=long limit=$((900 + 120 * ${MAILSITE_KILLS:-0})) only=()
  [[ $file != unit/* ]] || project=unit
  [ -z "${MAILSITE_CUTS:-}" ] || limit=3600
  [ -z "${MAILSITE_ONLY:-}" ] || only=(-t "$MAILSITE_ONLY")
  local files=() word
  for word in ${file//,/ }; do
    case $word in -*) only+=(--exclude "tests/${word#-}") ;; *) files+=("tests/$word") ;; esac
  done
  local vitest=(bun --bun node_modules/.bin/vitest run --project "$project" "${only[@]}")
  # the library of the LSM engine crashes in a process whose threads come and go by the dozen, as those of the test runner do
  [[ $name != lsm-units ]] || vitest=(bash tests/each.sh "${vitest[@]}" --)
  MAILSITE_REPORT=$log.report isolated env "$@" timeout --kill-after=5 $limit "${vitest[@]}" "${files[@]}" >"$log" 2>&1
  local code=$?
  if [ $code = 0 ]; then
    printf 'ok    %-13s %4d s\n' "$name" $((SECONDS - start))
  else
    printf 'FAIL  %-13s %4d s (exit %d)\n' "$name" $((SECONDS - start)) $code
    grep -v '✓' "$log" | tail -n 150 | sed 's/^/      /'
  fi
  [ ! -e "$log.report" ] || cat "$log.report" # what it measured
  echo "$code $name" >>"$logs/ended"
}

# One after the other, those of them that were asked for.
run_parts() {
  local row name file settings
  for row in "$@"; do
    read -r name file settings <<<"$row"
    [ -z "$asked" ] || [[ " $asked " == *" $name "* ]] || continue
    # shellcheck disable=SC2086 # settings are words
    run_part "$name" "$file" $settings
  done
}

asked="$*"
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
touch "$logs/ended"
install_packages
for root in bare booted; do bash tests/container/root.sh $root || fail "the Debian root '$root' could not be made"; done
run_parts "${beside[@]}" >"$logs/beside" &
run_parts "${parts[@]}"
wait
cat "$logs/beside"
echo "took $((SECONDS / 60)) min $((SECONDS % 60)) s"
failed=$(grep -cv '^0 ' "$logs/ended")
[ "$failed" = 0 ] || echo "failed: $(sed -n '/^0 /!s/^[0-9]* //p' "$logs/ended" | xargs)"
echo "$(grep -c '^0 ' "$logs/ended") passed, $failed failed"
[ "$failed" = 0 ]
