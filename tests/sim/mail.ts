// The numbered messages of a simulation and the people of its site: who is who, and where their mail must end.

import type { Random } from './random.ts';

export const HOST = 'mail.example.test';
export const accounts = ['alice@example.test', 'bob@example.test', 'carol@example.test'] as const;
export const passwordOf = (address: string): string => `secret of ${address}`;
/** Looks like a hash and is none: nothing in a simulation hashes. */
export const hashOf = (address: string): string =>
  `$argon2id$v=19$m=19456,t=2,p=1$${Buffer.from(address.padEnd(24)).toString('base64')}$${'c2ltdWxhdGVk'.repeat(3)}`;

/** The desired document of the site. `quotaBytes`: what carol may keep, 0 for all she likes. */
export const documentOf = (quotaBytes: number): object => ({
  schema: 1,
  host: HOST,
  domains: [
    { name: 'example.test', aliasOf: null, catchAll: null, subaddress: '+' },
    { name: 'alias.test', aliasOf: 'example.test', catchAll: null, subaddress: '+' },
  ],
  accounts: accounts.map((address) => ({
    address,
    name: address.split('@')[0],
    password: hashOf(address),
    quotaBytes: address.startsWith('carol') ? quotaBytes : 0,
    enabled: true,
  })),
  aliases: [
    { address: 'team@example.test', to: ['alice@example.test', 'bob@example.test'] },
    { address: 'all@example.test', to: ['team@example.test', 'carol@example.test'] },
    { address: 'info@example.test', to: ['carol@example.test', 'good1@remote.test'] },
  ],
  network: { resolvers: ['192.0.2.53:53'] },
});

/** Where an address leads: mailboxes of accounts here (INBOX unless it is named) and addresses elsewhere. */
const routes: Readonly<Record<string, readonly string[]>> = {
  'alice@alias.test': ['alice@example.test'],
  'alice+Work@example.test': ['alice@example.test/Work'],
  'bob+nowhere@example.test': ['bob@example.test'],
  'team@example.test': ['alice@example.test', 'bob@example.test'],
  'all@example.test': ['alice@example.test', 'bob@example.test', 'carol@example.test'],
  'info@example.test': ['carol@example.test', 'good1@remote.test'],
};
export const targetsOf = (recipient: string): readonly string[] => routes[recipient] ?? [recipient];
export const isAccount = (address: string): boolean => (accounts as readonly string[]).includes(address);
/** The account of a target. */
export const accountOf = (target: string): string => target.replace(/\/.*$/, '');

export const localRecipients = [...accounts, ...accounts, ...Object.keys(routes)];
/** The sinks know what to do by the name: good takes, bad refuses for good, later takes at the third attempt, never never does. */
export const remoteRecipients = [
  'good1@remote.test',
  'good2@remote.test',
  'good3@other.test',
  'later1@remote.test',
  'later2@other.test',
  'bad1@remote.test',
  'bad2@other.test',
  'never1@remote.test',
  'nobody@nowhere.test',
  'nobody@nullmx.test',
];

export interface Message {
  readonly id: string;
  readonly content: Uint8Array;
}

/**
 * A message with its number in its Message-ID; leading dots, empty lines and long lines among its lines. A big one
 * does not shrink, so that it does not fit into a command and is streamed.
 */
export function compose(id: string, from: string, to: readonly string[], random: Random, big: boolean): Message {
  const lines = big ? bigLines(random) : smallLines(random);
  const head = [
    `From: <${from}>`,
    `To: ${to.map((t) => `<${t}>`).join(', ')}`,
    `Subject: number ${id}`,
    `Message-ID: <${id}@sim.test>`,
    'Date: Thu, 01 Jan 2026 00:00:00 +0000',
  ];
  return { id, content: new TextEncoder().encode(`${[...head, '', ...lines].join('\r\n')}\r\n`) };
}

function smallLines(random: Random): string[] {
  const count = random.chance(0.1) ? random.between(100, 600) : random.between(0, 12);
  return Array.from({ length: count }, (_, i) => {
    const kind = random.below(10);
    return kind === 0 ? '' : kind === 1 ? '.' : kind === 2 ? `..${i}` : `${i} ${'x'.repeat(random.below(90))}`;
  });
}

function bigLines(random: Random): string[] {
  const text = Buffer.from(random.octets(random.between(210_000, 400_000))).toString('base64');
  return text.match(/.{1,76}/g) ?? [];
}

/** The number of a message, from the Message-ID in its header. Null for what the site made itself (bounces). */
export function idOf(text: string): string | null {
  const header = text.slice(0, /\r?\n\r?\n/.exec(text)?.index ?? text.length);
  return /^message-id:\s*<([^>@]+)@sim\.test>/im.exec(header)?.[1] ?? null;
}

/** A bounce: which message failed for whom. Null for anything else, and for news of a mere delay. */
export function failuresIn(text: string): { readonly id: string; readonly recipients: readonly string[] } | null {
  if (!/report-type=delivery-status/i.test(text)) return null;
  const recipients = [...text.matchAll(/^final-recipient: *rfc822; *(\S+)\r?\naction: *failed/gim)].map((m) => m[1] as string);
  const id = [...text.matchAll(/^message-id:\s*<([^>@]+)@sim\.test>/gim)].at(0)?.[1];
  return recipients.length > 0 && id !== undefined ? { id, recipients } : null;
}

/** RFC 5321 §4.5.2. */
export function stuff(content: Uint8Array): Uint8Array {
  const text = Buffer.from(content).toString('latin1').replace(/^\./gm, '..');
  return new Uint8Array(Buffer.from(`${text}.\r\n`, 'latin1'));
}

export function unstuff(data: string): Uint8Array {
  return new Uint8Array(Buffer.from(data.replace(/^\.\./gm, '.'), 'latin1'));
}
