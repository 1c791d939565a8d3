// The mail of the demo: what a small firm's mailboxes look like on a weekday morning. Times are relative to the start.

import { flag } from '../storage/page.ts';

export const password = 'demo';
export const document = {
  schema: 1,
  host: 'mail.example.test',
  domains: [{ name: 'example.test' }],
  accounts: [
    { address: 'alice@example.test', name: 'Alice Moreau', password: { plain: password } },
    { address: 'bob@example.test', name: 'Bob Lindqvist', password: { plain: password } },
  ],
  aliases: [{ address: 'office@example.test', to: ['alice@example.test', 'bob@example.test'] }],
};

export interface Sample {
  readonly account: string;
  readonly mailbox: string;
  readonly flags: number;
  readonly minutesAgo: number;
  /** The whole message with CRLF line ends, but for its Date. */
  readonly message: string;
}

const alice = 'Alice Moreau <alice@example.test>';
const bob = 'Bob Lindqvist <bob@example.test>';
const HOUR = 60;
const DAY = 24 * HOUR;

/** A logo of 16×16 pixels, as PNG in base64. */
const logo = [
  'iVBORw0KGgoAAAANSUhEUgAAABAAAAAQCAIAAACQkWg2AAAAOklEQVR42mP4TyJgQOPLx69AQ/g0',
  'YKrG1MNAUDWaHgZiVCPrYSBSNVzPiNVAcrCSE3HkJA1yEh8xAADESd4MG8r2fwAAAABJRU5ErkJg',
  'gg==',
].join('\n');

const text = (headers: readonly string[], body: string, type = 'text/plain; charset=utf-8'): string =>
  [...headers, 'MIME-Version: 1.0', `Content-Type: ${type}`, 'Content-Transfer-Encoding: 8bit', '', body].join('\n').replaceAll('\n', '\r\n');

const multipart = (headers: readonly string[], subtype: string, boundary: string, parts: readonly string[]): string =>
  [
    ...headers,
    'MIME-Version: 1.0',
    `Content-Type: multipart/${subtype}; boundary="${boundary}"`,
    '',
    ...parts.map((part) => `--${boundary}\n${part}`),
    `--${boundary}--`,
    '',
  ]
    .join('\n')
    .replaceAll('\n', '\r\n');

const lunch = (n: number, headers: readonly string[], body: string): string =>
  text(
    [...headers, `Message-ID: <lunch-${n}@example.test>`, ...(n > 1 ? [`In-Reply-To: <lunch-${n - 1}@example.test>`, `References: ${references(n)}`] : [])],
    body,
  );
const references = (n: number): string => Array.from({ length: n - 1 }, (_, i) => `<lunch-${i + 1}@example.test>`).join(' ');

const lunch1 = lunch(
  1,
  [`From: ${bob}`, `To: ${alice}`, 'Subject: Lunch on Thursday?'],
  `Hi Alice,

the printers come at eleven on Thursday. Shall we take them to the place
by the canal afterwards? They have a table for four at half past twelve.

Bob
`,
);
const lunch2 = lunch(
  2,
  [`From: ${alice}`, `To: ${bob}`, 'Subject: Re: Lunch on Thursday?'],
  `> They have a table for four at half past twelve.

Please take it. I bring the paper samples.

Alice
`,
);
const lunch3 = lunch(
  3,
  [`From: ${bob}`, `To: ${alice}`, 'Subject: Re: Lunch on Thursday?'],
  `Done, under your name.

Could you also bring the blue one, the 120 g? They asked about it.

Bob
`,
);

const newsletter = multipart(
  [
    'From: =?utf-8?Q?G=C3=A4rtnerei_Sonnenhof?= <post@sonnenhof.test>',
    `To: ${alice}`,
    'Subject: =?utf-8?B?R2Vtw7xzZSBpbSBNw6RyeiDwn6WV?=',
    'Message-ID: <march@sonnenhof.test>',
    'List-Unsubscribe: <mailto:leave@sonnenhof.test>',
  ],
  'alternative',
  'march',
  [
    `Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

Diese Woche in der Kiste: Pastinaken, Rote Bete, M=C3=B6hren und der erste B=
=C3=A4rlauch.

Abholen k=C3=B6nnen Sie wie immer ab acht Uhr.
`,
    `Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: quoted-printable

<h1>Gem=C3=BCse im M=C3=A4rz</h1>
<p>Diese Woche in der Kiste: <b>Pastinaken, Rote Bete, M=C3=B6hren</b> und der=
 erste B=C3=A4rlauch.</p>
<p>Abholen k=C3=B6nnen Sie wie immer ab acht Uhr.</p>
`,
  ],
);

const hours = multipart(
  [
    'From: Priya Nair <priya@northlight.test>',
    `To: ${alice}`,
    `Cc: ${bob}`,
    'Subject: Hours for February, and the new logo',
    'Message-ID: <hours-02@northlight.test>',
  ],
  'mixed',
  'hours',
  [
    `Content-Type: text/plain; charset=utf-8

Hi both,

my hours are in the sheet. The logo has its final colour now; say if it is
too dark in print.

Priya
`,
    `Content-Type: text/csv; charset=utf-8; name="hours-february.csv"
Content-Disposition: attachment; filename="hours-february.csv"

week,hours,what
6,12.5,logo
7,16,logo and letterhead
8,9,website pictures
9,14,website pictures
`,
    `Content-Type: image/png; name="logo.png"
Content-Disposition: attachment; filename="logo.png"
Content-Transfer-Encoding: base64

${logo}
`,
  ],
);

const train = text(
  ['From: Rail tickets <tickets@rail.test>', `To: ${alice}`, 'Subject: Your ticket to Lyon, 14 March', 'Message-ID: <ticket-7741@rail.test>'],
  'Departs 08:52, platform 11, coach 4, seat 61 (window).\n\nShow this message on your phone, or print it.\n',
);

const junk = text(
  ['From: "Prize Office" <winner@lucky.test>', 'To: undisclosed-recipients:;', 'Subject: You WON!!! claim within 24 hours', 'Message-ID: <1@lucky.test>'],
  'Dear friend,\n\nyour address was drawn. Send us your bank details to receive 1,000,000.\n',
);

const draft = text(
  [
    `From: ${alice}`,
    'To: priya@northlight.test',
    'Subject: Re: Hours for February, and the new logo',
    'Message-ID: <draft-1@example.test>',
    'In-Reply-To: <hours-02@northlight.test>',
  ],
  'Dear Priya,\n\nthank you, the colour is right. About week 8:\n',
);

const invoice = text(
  ['From: Accounts <billing@paper.test>', 'To: office@example.test', 'Subject: Invoice 2041, due in ten days', 'Message-ID: <invoice-2041@paper.test>'],
  'Please find our invoice for 4 boxes of 120 g paper.\n\nTotal: 212.40\n',
);

const welcome = (to: string): string =>
  text(
    ['From: mailsite demo <postmaster@example.test>', `To: ${to}`, 'Subject: Welcome: this mailbox is real', 'Message-ID: <welcome@example.test>'],
    `This is a whole mail site: SMTP, IMAP, queue and every mailbox, in one
process tree and one database.

Try what you like. Send mail to the other account, move messages about,
watch them arrive in a second client. Kill a process with kill -9: the
site is back before you notice, and nothing is lost.
`,
  );

const inbox = (account: string, minutesAgo: number, message: string, flags = 0): Sample => ({ account, mailbox: 'INBOX', flags, minutesAgo, message });

/** Oldest first. */
export const samples: readonly Sample[] = [
  inbox('alice@example.test', 6 * DAY, train, flag.seen | flag.flagged),
  { account: 'alice@example.test', mailbox: 'Junk', flags: flag.seen, minutesAgo: 5 * DAY, message: junk },
  inbox('alice@example.test', 3 * DAY, newsletter, flag.seen),
  { account: 'bob@example.test', mailbox: 'Sent', flags: flag.seen, minutesAgo: 2 * DAY, message: lunch1 },
  inbox('alice@example.test', 2 * DAY, lunch1, flag.seen | flag.answered),
  { account: 'alice@example.test', mailbox: 'Sent', flags: flag.seen, minutesAgo: 2 * DAY - 40, message: lunch2 },
  inbox('bob@example.test', 2 * DAY - 40, lunch2, flag.seen | flag.answered),
  inbox('bob@example.test', 26 * HOUR, invoice),
  inbox('alice@example.test', 26 * HOUR, invoice, flag.seen),
  inbox('bob@example.test', 5 * HOUR, hours, flag.seen),
  inbox('alice@example.test', 5 * HOUR, hours),
  { account: 'alice@example.test', mailbox: 'Drafts', flags: flag.draft | flag.seen, minutesAgo: 3 * HOUR, message: draft },
  { account: 'bob@example.test', mailbox: 'Sent', flags: flag.seen, minutesAgo: 25, message: lunch3 },
  inbox('alice@example.test', 25, lunch3),
  inbox('alice@example.test', 0, welcome(alice)),
  inbox('bob@example.test', 0, welcome(bob)),
];
