// An organisation to look at: one site that is well, one that is offline, one with trouble, one that waits for its machine.

import type {
  Account,
  Alias,
  AuditRow,
  Device,
  DnsRow,
  Domain,
  Member,
  Passkey,
  Queued,
  Refusal,
  Revision,
  Site,
  SiteEvent,
  Snapshot,
  Token,
  Traced,
} from '../../uplink/ui/contract.ts';

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;

export interface SiteData {
  site: Site;
  domains: Domain[];
  accounts: Account[];
  aliases: Alias[];
  queue: Queued[];
  dns: DnsRow[];
  traces: Traced[];
  refusals: Refusal[];
  events: SiteEvent[];
  snapshots: Snapshot[];
  revisions: Revision[];
}

const site = (now: number, id: string, name: string, more: Partial<Site>): Site => ({
  id,
  name,
  state: 'online',
  word: 'All well',
  wantedRev: 41,
  runningRev: 41,
  status: 'applied',
  errors: [],
  because: '',
  lockedSince: null,
  lastSeenAt: now - 4_000,
  version: '0.1.0',
  host: 'mail.linden.example',
  domains: 3,
  accounts: 14,
  queue: { messages: 3, oldestAt: now - 47 * minute },
  certificateDays: 62,
  snapshot: { at: now - 12 * minute, provenAt: now - 2 * hour, problem: '', triedAt: null },
  epoch: 2,
  createdAt: now - 210 * day,
  ...more,
});

const people = [
  'Alice Miller',
  'Ben Okafor',
  'Chiara Rossi',
  'David Lindqvist',
  'Elif Yilmaz',
  'Farid Haddad',
  'Greta Thoma',
  'Hugo Laurent',
  'Ines Duarte',
  'Jonas Weber',
];
const accounts: Account[] = people.map((name, i) => ({
  address: `${name.split(' ')[0]?.toLowerCase()}@linden.example`,
  name,
  quotaBytes: i % 3 === 2 ? 0 : 10e9,
  enabled: i !== 5,
}));

const dns = (): DnsRow[] => [
  {
    domain: 'linden.example',
    name: 'linden.example.',
    type: 'MX',
    values: ['10 mail.linden.example.'],
    found: [],
    level: 'required',
    state: 'right',
    reason: '',
    fix: '',
  },
  {
    domain: 'linden.example',
    name: 'linden.example.',
    type: 'TXT',
    values: ['v=spf1 mx -all'],
    found: ['v=spf1 mx -all', 'v=spf1 include:old-host.example ~all'],
    level: 'required',
    state: 'wrong',
    reason: 'There are two SPF records, so receivers honour neither.',
    fix: 'Delete the other one: “v=spf1 include:old-host.example ~all”.',
  },
  {
    domain: 'linden.example',
    name: 's1._domainkey.linden.example.',
    type: 'TXT',
    values: [
      'v=DKIM1; k=rsa; p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAvJ3m6f0T2uY9Vx0n6Qw4h8kq1ZtqkP0sQb7m2v0yq4kN8eYl1m5GxT3cW9pRz7u2fKjHs6dLaXbVnMqWeRtYuIoPaSdFgHjKlZxCvBnM1234567890AbCdEfGhIj',
    ],
    found: [],
    level: 'required',
    state: 'right',
    reason: '',
    fix: '',
  },
  {
    domain: 'linden.example',
    name: '_dmarc.linden.example.',
    type: 'TXT',
    values: ['v=DMARC1; p=quarantine; rua=mailto:postmaster@linden.example'],
    found: [],
    level: 'required',
    state: 'missing',
    reason: 'Nothing is published at this name.',
    fix: 'Add it as a TXT record; it counts within the hour.',
  },
  {
    domain: 'linden.example',
    name: '_mta-sts.linden.example.',
    type: 'TXT',
    values: ['v=STSv1; id=20260301'],
    found: [],
    level: 'recommended',
    state: 'right',
    reason: '',
    fix: '',
  },
  {
    domain: 'linden.example',
    name: '_imaps._tcp.linden.example.',
    type: 'SRV',
    values: ['0 1 993 mail.linden.example.'],
    found: [],
    level: 'optional',
    state: 'missing',
    reason: 'Some programs find the host by it.',
    fix: '',
  },
];

const queue = (now: number): Queued[] => [
  {
    id: 70412,
    from: 'alice@linden.example',
    size: 48_211,
    arrivedAt: now - 47 * minute,
    expiresAt: now + 4 * day,
    messageId: '',
    recipients: [
      {
        n: 1,
        address: 'orders@paperworks.example',
        attempts: 3,
        state: 'waiting',
        nextAttempt: now + 9 * minute,
        heldAt: null,
        lastHost: 'mx1.paperworks.example',
        lastCode: '450 4.2.0',
        lastError: 'Greylisted, please try again in 300 seconds',
      },
      {
        n: 2,
        address: 'sales@paperworks.example',
        attempts: 3,
        state: 'waiting',
        nextAttempt: now + 9 * minute,
        heldAt: null,
        lastHost: 'mx1.paperworks.example',
        lastCode: '450 4.2.0',
        lastError: 'Greylisted, please try again in 300 seconds',
      },
    ],
  },
  {
    id: 70418,
    from: 'ben@linden.example',
    size: 2_204_113,
    arrivedAt: now - 21 * minute,
    expiresAt: now + 4 * day,
    messageId: '',
    recipients: [
      {
        n: 3,
        address: 'kontakt@bergbahn.example',
        attempts: 1,
        state: 'waiting',
        nextAttempt: now + 4 * minute,
        heldAt: null,
        lastHost: 'mail.bergbahn.example',
        lastCode: '',
        lastError: 'Connection timed out after 60 s',
      },
    ],
  },
  {
    id: 70421,
    from: '',
    size: 3_900,
    arrivedAt: now - 6 * minute,
    expiresAt: now + 4 * day,
    messageId: '',
    recipients: [
      {
        n: 4,
        address: 'noreply@promo.example',
        attempts: 0,
        state: 'held',
        nextAttempt: null,
        heldAt: now - 5 * minute,
        lastHost: '',
        lastCode: '',
        lastError: '',
      },
    ],
  },
];

const traces = (now: number): Traced[] => {
  const t = now - 47 * minute;
  return [
    {
      trace: 9001,
      queue: 0,
      at: t,
      messageId: '20260301-7f2c@linden.example',
      from: 'alice@linden.example',
      to: ['orders@paperworks.example', 'ben@linden.example'],
      size: 48_211,
      client: { ip: '203.0.113.20', helo: 'laptop.local', tls: 'TLSv1.3', session: 'k3f9' },
      account: 'alice@linden.example',
      waiting: ['orders@paperworks.example'],
      held: [],
      events: [
        { at: t, kind: 'received', to: [], ip: '203.0.113.20', tls: 'TLSv1.3' },
        { at: t + 20, kind: 'stored', to: ['ben@linden.example'], account: 'ben@linden.example', mailbox: 'INBOX' },
        { at: t + 20, kind: 'queued', to: ['orders@paperworks.example'] },
        {
          at: t + 1_900,
          kind: 'deferred',
          to: ['orders@paperworks.example'],
          host: 'mx1.paperworks.example',
          ip: '198.51.100.7',
          tls: 'TLSv1.3',
          code: '450 4.2.0',
          words: 'Greylisted, please try again in 300 seconds',
          next: t + 6 * minute,
        },
        {
          at: t + 6 * minute,
          kind: 'deferred',
          to: ['orders@paperworks.example'],
          host: 'mx1.paperworks.example',
          ip: '198.51.100.7',
          tls: 'TLSv1.3',
          code: '451 4.7.1',
          words: 'Service unavailable: too many connections from your network, slow down',
          next: now + 9 * minute,
        },
      ],
    },
    {
      trace: 8990,
      queue: 0,
      at: now - 3 * hour,
      messageId: 'CAH8m1x@mail.birch.example',
      from: 'nora@birch.example',
      to: ['alice@linden.example'],
      size: 19_004,
      client: { ip: '192.0.2.44', helo: 'mail.birch.example', tls: 'TLSv1.3', session: 'k3f9' },
      account: '',
      waiting: [],
      held: [],
      events: [
        { at: now - 3 * hour, kind: 'received', to: [], ip: '192.0.2.44', tls: 'TLSv1.3' },
        { at: now - 3 * hour + 15, kind: 'stored', to: ['alice@linden.example'], account: 'alice@linden.example', mailbox: 'INBOX' },
      ],
    },
    {
      trace: 8411,
      queue: 0,
      at: now - 26 * hour,
      messageId: '0a1b@linden.example',
      from: 'alice@linden.example',
      to: ['gone@harbour.example'],
      size: 5_120,
      client: null,
      account: 'alice@linden.example',
      waiting: [],
      held: [],
      events: [
        { at: now - 26 * hour, kind: 'received', to: [] },
        {
          at: now - 26 * hour + 2_000,
          kind: 'bounced',
          to: ['gone@harbour.example'],
          host: 'mx.harbour.example',
          code: '550 5.1.1',
          words: 'The email account that you tried to reach does not exist',
        },
      ],
    },
  ];
};

const events = (now: number): SiteEvent[] =>
  (
    [
      ['snapshot.parked', 12 * minute, { to: 's3://linden-parking', commit: 812_004, kind: 'increment', octets: 4_120_332, ms: 411 }],
      ['site.started', 2 * hour, { start: String(now), version: '0.1.0' }],
      ['config.applied', 3 * hour, { rev: 41 }],
      ['mail.bounced', 5 * hour, { queue: 70_411, to: 'old@birch.example', host: 'mx.birch.example', code: '5.1.1', reason: 'no such user' }],
      ['certificate.made', 28 * day, { host: 'mail.linden.example', notAfter: new Date(now + 62 * day).toISOString(), selfSigned: false }],
      ['site.joined', 30 * day, { portal: 'https://portal.linden.example', machine: 'm216a8426a11dcc43', epoch: 2 }],
    ] as const
  ).map(([name, before, body], i) => ({ seq: 900 - i, at: now - before, name, body }));

const snapshots = (now: number): Snapshot[] =>
  [12 * minute, 72 * minute, 132 * minute, 5 * hour, 11 * hour, 26 * hour, 31 * hour, 50 * hour, 74 * hour].map((before, i) => ({
    name: `m${812_004 - i * 61}`,
    at: now - before,
    commit: 812_004 - i * 61,
    size: i % 4 === 3 ? 18_400_000_000 : 3_100_000 + i * 740_000,
    epoch: i > 6 ? 1 : 2,
    by: 'm216a8426a11dcc43',
    proven: i === 2 || i === 5 ? String(now - before + 10 * minute) : '',
  }));

const revisions = (now: number): Revision[] =>
  [
    'account jonas@linden.example',
    'alias press@linden.example',
    'domain birch-trees.example',
    'network, outbound',
    'account ines@linden.example',
    'the whole document',
  ].map((summary, i) => ({
    rev: 41 - i,
    at: now - (i + 1) * 9 * hour,
    by: i % 2 === 0 ? 'mara@linden.example' : 'tomas@linden.example',
    summary,
  }));

export function sampleSites(now: number): SiteData[] {
  const linden: SiteData = {
    site: site(now, 'linden', 'Linden House', {}),
    domains: [
      { name: 'birch-trees.example', aliasOf: 'linden.example', catchAll: null, subaddress: '+', accounts: 0, aliases: 0 },
      { name: 'garden.linden.example', aliasOf: null, catchAll: 'alice@linden.example', subaddress: '+', accounts: 0, aliases: 0 },
      { name: 'linden.example', aliasOf: null, catchAll: null, subaddress: '+', accounts: 10, aliases: 4 },
    ],
    accounts,
    aliases: [
      { address: 'all@linden.example', to: accounts.slice(0, 7).map((a) => a.address) },
      { address: 'info@linden.example', to: ['alice@linden.example', 'ben@linden.example'] },
      { address: 'press@linden.example', to: ['chiara@linden.example', 'desk@newsroom.example'] },
      { address: 'postmaster@linden.example', to: ['ben@linden.example'] },
    ],
    queue: queue(now),
    dns: dns(),
    traces: traces(now),
    refusals: [
      {
        at: now - 80 * minute,
        from: 'win@lottery.example',
        to: 'alice@linden.example',
        ip: '198.51.100.99',
        helo: 'dsl-99.example',
        code: '550 5.7.1',
        words: 'The sender of this mail is not allowed to send for lottery.example',
        count: 14,
      },
    ],
    events: events(now),
    snapshots: snapshots(now),
    revisions: revisions(now),
  };
  const bare = (row: Site): SiteData => ({
    ...linden,
    site: row,
    queue: [],
    dns: dns(),
    revisions: revisions(now),
    accounts: [...accounts],
    aliases: [...linden.aliases],
    domains: [...linden.domains],
  });
  return [
    linden,
    bare(
      site(now, 'harbour', 'Harbour office', {
        state: 'offline',
        word: 'Not heard of since 2026-11-03 12:20 UTC',
        host: 'mail.harbour.example',
        lockedSince: now - 100 * minute,
        lastSeenAt: now - 100 * minute,
        queue: { messages: 12, oldestAt: now - 5 * hour },
        certificateDays: 31,
        snapshot: {
          at: now - 2 * hour,
          provenAt: null,
          problem: 'there is no room to restore a snapshot beside the site: 61 GB are needed, 12 GB are free',
          triedAt: now - 5 * hour,
        },
      }),
    ),
    bare(
      site(now, 'mill', 'Mill workshop', {
        word: 'Rev 19 was not taken',
        host: 'mail.mill.example',
        wantedRev: 19,
        runningRev: 18,
        status: 'rejected',
        errors: [{ path: 'outbound.relays[0].host', code: 'custom', message: 'must be a host name or an IP address' }],
        because: 'Rev 19 was refused: outbound.relays[0].host must be a host name or an IP address. The site runs rev 18.',
        certificateDays: 6,
      }),
    ),
    bare(
      site(now, 'barn', 'Old barn', {
        state: 'quarantined',
        word: 'Two machines say they are this site',
        host: 'mail.barn.example',
        lastSeenAt: now - 26 * minute,
      }),
    ),
    bare(
      site(now, 'quay', 'Quay store', {
        state: 'superseded',
        word: 'Another machine took its place',
        host: 'mail.quay.example',
        lastSeenAt: now - 9 * day,
      }),
    ),
    bare(
      site(now, 'attic', 'Attic', {
        state: 'waiting',
        word: 'Waiting for its machine',
        host: '',
        wantedRev: 0,
        runningRev: 0,
        status: 'none',
        version: '',
        lastSeenAt: null,
        queue: { messages: 0, oldestAt: null },
        certificateDays: null,
        snapshot: { at: null, provenAt: null, problem: '', triedAt: null },
        domains: 0,
        accounts: 0,
      }),
    ),
  ];
}

export const sampleDevice = (now: number): Device => ({
  code: 'KTRW-JMXH',
  host: 'mx2.linden.example',
  version: '0.1.0',
  address: '203.0.113.77',
  askedAt: now - 2 * minute,
  expiresAt: now + 13 * minute,
  words: ['babo', 'kufi', 'lazu', 'dire', 'mosa', 'tepi'],
});
export const sampleMembers = (now: number): Member[] => [
  { person: 'p1', name: 'Mara Jensen', email: 'mara@linden.example', role: 'owner', domains: [], since: now - 210 * day, strong: true },
  { person: 'p2', name: 'Tomas Novak', email: 'tomas@linden.example', role: 'admin', domains: [], since: now - 120 * day, strong: true },
  {
    person: 'p3',
    name: 'Yuki Arai',
    email: 'yuki@linden.example',
    role: 'domain admin',
    domains: ['garden.linden.example'],
    since: now - 40 * day,
    strong: true,
  },
  { person: 'p4', name: 'Sam Reid', email: 'sam@linden.example', role: 'helpdesk', domains: [], since: now - 12 * day, strong: false },
];
export const sampleTokens = (now: number): Token[] => [
  {
    id: 't1',
    by: 'mara@linden.example',
    name: 'Dashboard',
    role: 'read-only',
    domains: [],
    createdAt: now - 80 * day,
    expiresAt: now + 5 * day,
    seenAt: now - 4 * minute,
  },
  {
    id: 't2',
    by: 'mara@linden.example',
    name: 'Onboarding script',
    role: 'admin',
    domains: [],
    createdAt: now - 9 * day,
    expiresAt: now + 81 * day,
    seenAt: null,
  },
];
export const samplePasskeys = (now: number): Passkey[] => [{ id: 'k1', name: 'Work laptop', createdAt: now - 60 * day, seenAt: now - 2 * hour }];
export const sampleAudit = (now: number): AuditRow[] =>
  (
    [
      ['account.add', 'jonas@linden.example', 'rev 41', 'password and code'],
      ['session.open', 'mara@linden.example', '', 'password and code'],
      ['alias.add', 'press@linden.example', 'rev 40', 'passkey'],
      ['command.queue.release', 'Linden House', '2 messages', 'passkey'],
      ['member.change', 'sam@linden.example', 'read-only became helpdesk', 'password and code'],
      ['token.create', 'Onboarding script', 'admin, 90 days', 'password and code'],
      ['site.create', 'Attic', '', 'password and code'],
    ] as const
  ).map(([action, target, detail, auth], i) => ({
    n: 400 - i,
    at: now - i * 5 * hour,
    actor: i % 3 === 2 ? 'tomas@linden.example' : 'mara@linden.example',
    auth,
    address: '203.0.113.20',
    action,
    target,
    detail,
    beforeHash: '',
    afterHash: '',
    prevHash: '',
    hash: '',
  }));
