// The yardstick: the same work on any SMTP+IMAP server. See README.md.
import { Args, Ctx } from './lib/util.ts';
import { smtpIngest } from './measure/smtp.ts';
import { fetch, fill, loginSelect, ops, search } from './measure/imap.ts';
import { idle } from './measure/idle.ts';
import { backup, chain, chaincheck, cold } from './measure/life.ts';

const TESTS: Record<string, (c: Ctx) => Promise<void>> = {
  'smtp-ingest': smtpIngest,
  'imap-login-select': loginSelect,
  'imap-fill': fill,
  'imap-fetch': fetch,
  'imap-ops': ops,
  'imap-search': search,
  'imap-idle': idle,
  'cold-start': cold,
  backup,
  chain,
  chaincheck,
};
const args = new Args(process.argv.slice(2)),
  test = TESTS[args.pos[0] ?? ''];
if (!test) {
  console.error('usage: bun bench.ts <' + Object.keys(TESTS).join('|') + '> [--host --smtp --imap --users --pass --label --out --server ...]');
  process.exit(2);
}
await test(new Ctx(args));
process.exit(process.exitCode ?? 0);
