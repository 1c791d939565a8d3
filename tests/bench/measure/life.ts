// (f) cold start, and (g) the backup: cost of a command, and whether a copy is of one point in time.
import { Imap, Smtp } from '../lib/conn.ts';
import { Meter, serverMemory } from '../lib/meter.ts';
import { Corpus } from '../lib/mime.ts';
import { type Ctx, median, now, round, sleep } from '../lib/util.ts';
import { openAll } from './smtp.ts';

const sh = async (cmd: string) => {
  const p = Bun.spawn(['bash', '-c', cmd], { stdout: 'ignore', stderr: 'inherit' });
  return p.exited;
};
const until = async <T>(f: () => Promise<T>, limit = 30000): Promise<T> => {
  for (const t0 = now(); ; ) {
    try {
      return await f();
    } catch (e) {
      if (now() - t0 > limit) throw e;
      await sleep(1);
    }
  }
};

/** --start CMD --stop CMD: from exec of CMD to the first greetings and the first LOGIN+SELECT. */
export async function cold(ctx: Ctx): Promise<void> {
  const start = ctx.args.str('start', ''),
    stop = ctx.args.str('stop', ''),
    reps = ctx.args.num('reps', 7);
  if (!start || !stop) throw new Error('cold wants --start and --stop commands');
  const imap: number[] = [],
    smtp: number[] = [],
    ready: number[] = [];
  let mem = { pss_mb: 0, anon_mb: 0, rss_mb: 0, processes: 0 };
  for (let k = 0; k < reps; k++) {
    await sh(stop);
    const t0 = now(),
      p = sh(start);
    await Promise.all([
      ctx.args.has('no-imap')
        ? 0
        : until(async () => {
            const c = await Imap.open(ctx.host, ctx.imap, ctx.tls);
            imap.push(now() - t0);
            await c.login(ctx.user(1), ctx.pass);
            await c.must('SELECT INBOX');
            ready.push(now() - t0);
            await c.logout();
          }),
      ctx.args.has('no-smtp')
        ? 0
        : until(async () => {
            const c = await Smtp.open(ctx.host, ctx.smtp, ctx.tls);
            smtp.push(now() - t0);
            await c.quit();
          }),
    ]);
    await p;
    await sleep(300);
    mem = serverMemory(ctx.server);
  }
  await sh(stop);
  const m = (v: number[]) => (v.length ? round(median(v), 1) : null);
  ctx.emit('cold-start', {
    params: `reps=${reps}`,
    imap_greeting_ms: m(imap),
    imap_select_ms: m(ready),
    smtp_ehlo_ms: m(smtp),
    imap_max_ms: round(Math.max(0, ...imap), 1),
    pss_mb_idle: mem.pss_mb,
    anon_mb_idle: mem.anon_mb,
    processes: mem.processes,
  });
}

/** --cmd CMD [--size DIR]: time and bytes of a backup command. */
export async function backup(ctx: Ctx): Promise<void> {
  const cmd = ctx.args.str('cmd', ''),
    dst = ctx.args.str('size', '');
  const meter = new Meter(ctx.server),
    rc = await sh(cmd),
    { s, cost } = meter.stop();
  const bytes = dst ? Number((await Bun.$`du -sb --apparent-size ${dst}`.text()).split('\t')[0]) : 0;
  ctx.emit('backup', { params: ctx.args.str('name', cmd), rc, s: round(s, 2), mb: round(bytes / 1e6, 1), mb_s: round(bytes / 1e6 / s, 1), ...cost });
}

/** Delivers numbered messages round-robin over all users, one after the other, until --stop-file appears. */
export async function chain(ctx: Ctx): Promise<void> {
  const stopFile = ctx.args.str('stop-file', '/tmp/chain.stop'),
    limit = ctx.args.num('limit', 20000);
  const boxes = await openAll(ctx),
    corpus = new Corpus(ctx.seed);
  for (const b of boxes) {
    await b.cmd('DELETE "chain"');
    await b.must('CREATE "chain"');
  }
  console.log('ready');
  let i = 0;
  while (i < limit && !(i % 10 === 0 && (await Bun.file(stopFile).exists()))) {
    const u = i % ctx.users,
      m = corpus.make(i, 0, u + 1, ctx.user(u + 1), 'chain'),
      d = await boxes[u]!.append('chain', '', [m.head, m.body]);
    if (!d.ok) throw new Error(d.text);
    i++;
  }
  ctx.emit('chain', { appended: i });
  await Promise.all(boxes.map((b) => b.logout()));
}

/** On the restored copy: message k was appended after message k-1 was acknowledged, so a copy of one point in time has no holes. */
export async function chaincheck(ctx: Ctx): Promise<void> {
  const have = new Set<number>();
  let broken = 0;
  for (let u = 1; u <= ctx.users; u++) {
    const c = await Imap.open(ctx.host, ctx.imap, ctx.tls);
    await c.login(ctx.user(u), ctx.pass);
    if (!(await c.cmd('EXAMINE "chain"')).ok) {
      broken++;
      await c.logout();
      continue;
    }
    let lit = '';
    const take = () => {
      const m = /<chain\.(\d+)\./.exec(lit);
      if (m) have.add(Number(m[1]));
      lit = '';
    };
    c.onLine = take;
    c.onLiteral = (p) => {
      lit += p;
    };
    const n = c.exists,
      d = n ? await c.cmd('FETCH 1:* BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)]') : { ok: true };
    take();
    if (!d.ok) broken++;
    await c.logout();
  }
  const max = Math.max(-1, ...have);
  let firstHole = -1;
  for (let k = 0; k <= max && firstHole < 0; k++) if (!have.has(k)) firstHole = k;
  ctx.emit('chaincheck', {
    present: have.size,
    last: max,
    holes: max + 1 - have.size,
    first_hole: firstHole,
    mailboxes_broken: broken,
    point_in_time: have.size === max + 1 && broken === 0,
  });
}
