#!/bin/bash
# The incumbent to beat: Postfix -> LMTP -> Dovecot from Debian's packages, on 127.0.0.1 (SMTP 2525, LMTP 2524, IMAP 2143).
#   peer.sh install                 apt-get the packages, make the vmail user
#   peer.sh start maildir|mdbox     users user1..user100@example.test, password test-only
#   peer.sh stop | wipe
# State lives in $PEER_DIR (default: a folder `mailsite-peer` in $TMPDIR or the temp folder).
# All processes run in the cpuacct cgroup `peer` (cgroup.sh).
set -e
. "$(cd "$(dirname "$0")" && pwd)/cgroup.sh"
P=${PEER_DIR:-${TMPDIR:-/tmp}/mailsite-peer}; CG=$(cgroup peer)
configure() {
  mkdir -p $P/{etc,postfix,run/dovecot,run/dovecot-state,run/postfix,run/postfix-data,mail/home,mail/$1,log}
  chmod 755 $P; chown postfix $P/run/postfix-data; chown -R vmail:vmail $P/mail; chmod 1777 $P/log
  for i in $(seq 1 100); do echo "user$i@example.test:{PLAIN}test-only"; done > $P/etc/passwd
  for i in $(seq 1 100); do echo "user$i@example.test user$i"; done > $P/postfix/vmailbox
  cat > $P/etc/dovecot-$1.conf <<C
protocols = imap lmtp
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
base_dir = $P/run/dovecot
state_dir = $P/run/dovecot-state
log_path = $P/log/dovecot.log
hostname = mx.example.test
first_valid_uid = 100
mail_uid = vmail
mail_gid = vmail
mail_fsync = optimized
mail_max_userip_connections = 0
mail_location = $1:$P/mail/$1/%n
namespace inbox {
  inbox = yes
}
passdb {
  driver = passwd-file
  args = scheme=PLAIN username_format=%u $P/etc/passwd
}
userdb {
  driver = static
  args = uid=vmail gid=vmail home=$P/mail/home/%n
}
service imap-login {
  service_count = 0
  process_min_avail = 2
  process_limit = 4
  client_limit = 4000
  inet_listener imap {
    address = 127.0.0.1
    port = 2143
  }
  inet_listener imaps {
    port = 0
  }
}
service imap {
  process_limit = 2500
}
service lmtp {
  inet_listener lmtp {
    address = 127.0.0.1
    port = 2524
  }
}
service auth {
  client_limit = 6000
}
service anvil {
  client_limit = 6000
}
service stats {
  client_limit = 6000
}
C
  sed 's/^smtp  *inet.*/127.0.0.1:2525 inet n - n - - smtpd/; s/^\(\S\+\s\+unix\s\+\S\+\s\+\S\+\s\+\)y/\1n/' /usr/share/postfix/master.cf.dist > $P/postfix/master.cf
  cat > $P/postfix/main.cf <<C
compatibility_level = 3.6
queue_directory = $P/run/postfix
data_directory = $P/run/postfix-data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
meta_directory = /etc/postfix
shlib_directory = /usr/lib/postfix
mail_owner = postfix
setgid_group = postdrop
myhostname = mx.example.test
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
alias_maps =
alias_database =
virtual_mailbox_domains = example.test
virtual_mailbox_maps = hash:$P/postfix/vmailbox
virtual_transport = lmtp:inet:127.0.0.1:2524
message_size_limit = 52428800
mailbox_size_limit = 0
maillog_file = $P/log/postfix.log
maillog_file_prefixes = $P/log
smtpd_tls_security_level = none
smtp_tls_security_level = none
disable_dns_lookups = yes
default_transport = error:no outside mail
relay_transport = error:no outside mail
C
  postmap -c $P/postfix hash:$P/postfix/vmailbox
}
case ${1:-} in
install)
  export DEBIAN_FRONTEND=noninteractive
  dpkg -s postfix dovecot-imapd dovecot-lmtpd >/dev/null 2>&1 || { apt-get update -qq; apt-get install -y -qq --no-install-recommends postfix dovecot-imapd dovecot-lmtpd >/dev/null; }
  id vmail >/dev/null 2>&1 || useradd -r -s /usr/sbin/nologin vmail ;;
start)
  store=${2:-mdbox}; configure $store; ulimit -n 20000
  in_cgroup "$CG" dovecot -c $P/etc/dovecot-$store.conf; echo $store > $P/run/store; wait_port 2143; wait_port 2524
  in_cgroup "$CG" postfix -c $P/postfix start >/dev/null 2>&1; wait_port 2525 ;;
stop)
  postfix -c $P/postfix stop >/dev/null 2>&1 || true
  [ -f $P/run/store ] && { dovecot -c $P/etc/dovecot-$(cat $P/run/store).conf stop || true; rm -f $P/run/store; }
  wait_empty "$CG" ;;
wipe) rm -rf $P/mail ;;
*) sed -n 2,8p $0; exit 2 ;;
esac
