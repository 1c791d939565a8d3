// Another host on this machine: Postfix on a loopback address with a mailbox of its own, and Knot answering for the
// test domains. For a network namespace of our own only (tests/long.sh): it takes the ports 25 and 53.

import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { must, run, until } from './programs.ts';
import { greeting } from './site.ts';

export interface Zone {
  readonly name: string;
  /** Records as they stand in a zone file, after `@ SOA` and `@ NS`. */
  readonly records: readonly string[];
}

export interface Knot {
  stop(): Promise<void>;
  /** Another content of a zone that it has. */
  publish(zone: Zone): Promise<void>;
}

/** Knot on `address`:53. It runs until the namespace ends; `stop` kills it. */
export async function startKnot(folder: string, address: string, zones: readonly Zone[]): Promise<Knot> {
  mkdirSync(join(folder, 'run'), { recursive: true });
  let serial = 0;
  const write = ({ name, records }: Zone): void =>
    writeFileSync(
      join(folder, `${name}.zone`),
      [`$ORIGIN ${name}.`, '$TTL 5', `@ SOA ns hostmaster ${++serial} 60 60 600 0`, '@ NS ns', `ns A ${address}`, ...records, ''].join('\n'),
    );
  zones.forEach(write);
  const config = join(folder, 'knot.conf');
  writeFileSync(
    config,
    `server:
    rundir: "${folder}/run"
    listen: ${address}@53
    user: root:root
database:
    storage: "${folder}/run"
template:
  - id: default
    storage: "${folder}"
    file: "%s.zone"
zone:
${zones.map(({ name }) => `  - domain: ${name}`).join('\n')}
`,
  );
  await must(['knotd', '--config', config, '--daemonize']);
  await until('Knot answers', async () => (await run(['knotc', '--config', config, 'zone-status'])).code === 0);
  return {
    stop: async () => {
      await run(['knotc', '--config', config, '--blocking', 'stop']);
    },
    publish: async (zone) => {
      write(zone);
      await must(['knotc', '--config', config, '--blocking', 'zone-reload', zone.name]);
    },
  };
}

export class Postfix {
  readonly folder: string;
  readonly address: string;
  readonly host: string;
  readonly domain: string;

  constructor(folder: string, address: string, host: string, domain: string) {
    this.folder = folder;
    this.address = address;
    this.host = host;
    this.domain = domain;
  }

  /** A whole instance: mailboxes in Maildirs for `users`; everything else goes out by MX. */
  configure(users: readonly string[], more: readonly string[] = []): void {
    for (const part of ['etc', 'spool', 'lib', 'mail']) mkdirSync(join(this.folder, part), { recursive: true });
    chmodSync(this.folder, 0o755);
    chmodSync(join(this.folder, 'mail'), 0o777);
    writeFileSync(join(this.folder, 'etc', 'mailboxes'), users.map((user) => `${user}@${this.domain} ${user}/\n`).join(''));
    writeFileSync(
      join(this.folder, 'etc', 'main.cf'),
      `compatibility_level = 3.6
queue_directory = ${this.folder}/spool
data_directory = ${this.folder}/lib
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
meta_directory = /etc/postfix
shlib_directory = /usr/lib/postfix
mail_owner = postfix
setgid_group = postdrop
myhostname = ${this.host}
mydestination =
inet_interfaces = ${this.address}
inet_protocols = ipv4
smtp_bind_address = ${this.address}
mynetworks = ${this.address}/32
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
smtpd_sender_restrictions =
alias_maps =
alias_database =
virtual_mailbox_domains = ${this.domain}
virtual_mailbox_maps = texthash:${this.folder}/etc/mailboxes
virtual_mailbox_base = ${this.folder}/mail
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
maillog_file = ${this.folder}/log
maillog_file_prefixes = ${this.folder}
smtp_tls_security_level = may
smtp_tls_loglevel = 1
smtpd_tls_security_level = may
smtpd_tls_loglevel = 1
smtpd_tls_chain_files = ${this.folder}/etc/tls.pem
smtp_host_lookup = dns
ignore_mx_lookup_error = no
minimal_backoff_time = 2s
maximal_backoff_time = 4s
queue_run_delay = 2s
enable_long_queue_ids = yes
${more.join('\n')}
`,
    );
    const master = readFileSync('/usr/share/postfix/master.cf.dist', 'latin1')
      .replace(/^smtp\s+inet.*$/m, `${this.address}:25 inet n - n - - smtpd`)
      .replace(/^(\S+\s+unix\s+\S+\s+\S+\s+)y/gm, '$1n');
    writeFileSync(join(this.folder, 'etc', 'master.cf'), master);
  }

  private control(verb: string): Promise<unknown> {
    return run(['postfix', '-c', join(this.folder, 'etc'), verb]);
  }

  async start(): Promise<void> {
    await run(['ip', 'address', 'add', `${this.address}/32`, 'dev', 'lo']); // it wants an address that an interface names
    const pem = join(this.folder, 'etc', 'tls.pem');
    if (!existsSync(pem)) {
      await must([
        'openssl',
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:P-256',
        '-nodes',
        '-days',
        '2',
        '-subj',
        `/CN=${this.host}`,
        '-keyout',
        pem,
        '-out',
        `${pem}.crt`,
      ]);
      writeFileSync(pem, readFileSync(pem, 'latin1') + readFileSync(`${pem}.crt`, 'latin1'), { mode: 0o600 });
      await must(['chown', '-R', 'postfix', join(this.folder, 'lib')]);
    }
    await this.control('start');
    try {
      await until('Postfix greets', async () => (await greeting(this.address, 25)).startsWith('220'));
    } catch (error) {
      throw new Error(`${String(error)}\n${this.log}`);
    }
  }

  async stop(): Promise<void> {
    await this.control('stop');
  }

  /** Hands a message to this Postfix as a local user would, and does not wait for its delivery. */
  async send(from: string, to: string, message: string): Promise<void> {
    await must(['sendmail', '-C', join(this.folder, 'etc'), '-f', from, '-i', to], { input: message });
  }

  get log(): string {
    const file = join(this.folder, 'log');
    return existsSync(file) ? readFileSync(file, 'latin1') : '';
  }

  /** Sources of all messages delivered to a user here. */
  async mail(user: string): Promise<string[]> {
    const ran = await run(['bash', '-c', `for f in ${this.folder}/mail/${user}/new/*; do [ -f "$f" ] && { cat "$f"; printf '\\0'; }; done; true`]);
    return ran.stdout.split('\0').filter(Boolean);
  }
}
