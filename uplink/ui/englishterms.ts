// Terms of art in plain English, for who asks "?": what it is, and why one might care.

export const terms = {
  rev: {
    name: 'Revision',
    meaning: 'Each change of a site’s configuration gets the next number. The site applies a revision whole or not at all, and tells which one it runs.',
  },
  proven: {
    name: 'Restore proven',
    meaning:
      'Each week the site restores its newest snapshot beside itself, compares it with what the snapshot says of itself, checks every message, and throws it away. This is when that last went well, or when another machine was launched from one.',
  },
  queue: {
    name: 'Queue',
    meaning:
      'Mail that the site has accepted and not yet handed to the next host. A message that waits for hours usually means that the other host is down or refuses.',
  },
  certificate: { name: 'Certificate', meaning: 'Proves to mail programs that they talk to the right host. It is renewed by itself well before it ends.' },
  engine: { name: 'Engine', meaning: 'The database that holds all mail and all configuration of the site.' },
  dns: {
    name: 'DNS records',
    meaning:
      'Public notes under your domain. They tell the world which host takes its mail (MX), which hosts may send it (SPF), how its signature is checked (DKIM) and what to do with forgeries (DMARC).',
  },
  aliasDomain: { name: 'Same addresses', meaning: 'Every address of the other domain is one here too: alice@this is alice@that.' },
  catchAll: {
    name: 'Mail for nobody',
    meaning: 'Also called catch-all: one address gets all mail whose name is not in the domain. Spam often comes to made-up names.',
  },
  subaddress: {
    name: 'Sub-addresses',
    meaning: 'What follows the sign is a note of the person’s own: mail to alice+shop reaches alice, who can sort by it.',
  },
  quota: { name: 'Limit', meaning: 'How large the mailbox may grow. When it is full, senders are told to try later.' },
  forwarding: {
    name: 'Forwarding',
    meaning: 'An address elsewhere gets the mail through this site. Its host may doubt mail that comes this way; a mailbox here is safer.',
  },
  attempt: {
    name: 'Attempts',
    meaning: 'When the other host is away or says “later”, the site tries again with growing pauses, for some days. Then it tells the sender.',
  },
  trace: {
    name: 'Message trace',
    meaning: 'The log of one message, written in the same commit that did each step, so it cannot disagree with what happened.',
  },
  refusal: { name: 'Refused', meaning: 'The site answered the sending host with an error, so that host still has the message and tells its sender.' },
  snapshot: {
    name: 'Snapshot',
    meaning: 'The whole site at one moment: mail, accounts, queue, keys. It leaves the machine encrypted; only the site’s keys open it.',
  },
  launch: {
    name: 'Launch',
    meaning:
      'Another machine starts from a snapshot and becomes the site. A number, the epoch, grows with it, so that the old machine can never serve beside the new one.',
  },
  host: {
    name: 'Host name',
    meaning: 'The one name under which the machine is reached, such as mail.example.org. The certificate is for it, and MX records point to it.',
  },
  relay: { name: 'Relay', meaning: 'Another host that takes all outgoing mail and brings it on: needed where the network blocks port 25.' },
  resolver: { name: 'Resolver', meaning: 'The server that looks names up in the DNS. One on the same machine is fastest and sees most.' },
  role: {
    name: 'Roles',
    meaning: 'Owner, admin, domain admin, helpdesk, read-only: each may do what those after it may, and more. Screens show only what a role may use.',
  },
  token: { name: 'API token', meaning: 'A long secret that a program sends in place of a person’s sign-in. It is kept here as a fingerprint only.' },
  audit: {
    name: 'Audit',
    meaning:
      'A chain: each entry holds the fingerprint of the one before. The newest fingerprint goes to each site with its configuration, so that even the portal cannot rewrite the past unseen.',
  },
  totp: {
    name: 'Authenticator app',
    meaning: 'An app on your phone shows a code made from a secret and the time. Who has stolen only the password is not let in.',
  },
  passkey: {
    name: 'Passkey',
    meaning: 'A key that your device keeps and never shows. It works for this portal’s address only, so a forged page gets nothing.',
  },
} as const;
