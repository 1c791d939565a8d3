// (b) login+select, (c) fetch, (d) append/store/copy/move/expunge/search.
import { Imap } from '../lib/conn.ts';
import { Meter } from '../lib/meter.ts';
import { Corpus, mix } from '../lib/mime.ts';
import { type Ctx, median, now, pct, rng, round } from '../lib/util.ts';

const open = async (ctx: Ctx, user: number): Promise<Imap> => {
  const c = await Imap.open(ctx.host, ctx.imap, ctx.tls);
  await c.login(ctx.user(user), ctx.pass);
  return c;
};

export async function loginSelect(ctx: Ctx): Promise<void> {
  const conns = ctx.args.num('conns', 10),
    n = ctx.args.num('logins', 2000);
  const greet: number[] = [],
    login: number[] = [],
    select: number[] = [],
    total: number[] = [];
  let next = 0;
  const meter = new Meter(ctx.server);
  await Promise.all(
    Array.from({ length: conns }, async () => {
      while (next < n) {
        const u = 1 + (next++ % ctx.users),
          t0 = now();
        const c = await Imap.open(ctx.host, ctx.imap, ctx.tls);
        const t1 = now();
        await c.login(ctx.user(u), ctx.pass);
        const t2 = now();
        await c.must('SELECT INBOX');
        const t3 = now();
        await c.logout();
        greet.push(t1 - t0);
        login.push(t2 - t1);
        select.push(t3 - t2);
        total.push(t3 - t0);
      }
    }),
  );
  const { s, cost } = meter.stop();
  ctx.emit('imap-login-select', {
    params: `c=${conns} n=${n}`,
    logins_s: round(n / s, 1),
    ...pct('greeting', greet, [50, 99]),
    ...pct('login', login, [50, 99]),
    ...pct('select', select, [50, 99]),
    ...pct('total', total, [50, 99]),
    server_cpu_ms_per_login: round((cost.server_cpu_s * 1000) / n, 3),
    ...cost,
  });
}

const BIG = 'big10k';

/** Fills a mailbox by APPEND (pipelined) unless it already has that many messages. */
export async function fill(ctx: Ctx): Promise<void> {
  const n = ctx.args.num('messages', 10000),
    user = ctx.args.num('user', 1),
    box = ctx.args.str('mailbox', BIG),
    only = ctx.args.num('class', -1);
  const c = await open(ctx, user);
  await c.cmd(`CREATE "${box}"`);
  if ((await c.status(box)).messages === n) {
    await c.logout();
    return;
  }
  const corpus = new Corpus(ctx.seed),
    cls = mix(n, ctx.seed, only);
  let bytes = 0;
  const meter = new Meter(ctx.server),
    window: Promise<unknown>[] = [];
  for (let i = 0; i < n; i++) {
    const m = corpus.make(i, cls[i]!, user, ctx.user(user), 'fill');
    bytes += m.size;
    const p = c.append(box, i % 3 ? '\\Seen' : '', [m.head, m.body]).then((d) => {
      if (!d.ok) throw new Error('APPEND: ' + d.text);
    });
    if (!c.literalPlus) await p;
    else {
      window.push(p);
      await c.drained();
      if (window.length >= 16) await window.shift();
    }
  }
  await Promise.all(window);
  const { s, cost } = meter.stop();
  await c.logout();
  ctx.emit('imap-fill', {
    params: `m=${n}`,
    msgs_s: round(n / s, 1),
    mb_s: round(bytes / s / 1e6, 1),
    mb: round(bytes / 1e6, 1),
    flushes_per_msg: round(cost.disk_flushes / n, 2),
    ...cost,
  });
}

export async function fetch(ctx: Ctx): Promise<void> {
  const n = ctx.args.num('messages', 10000),
    user = ctx.args.num('user', 1),
    reps = ctx.args.num('reps', 5),
    bodies = ctx.args.num('bodies', 1000);
  const one = async (name: string, command: string, want: number, times = reps, cold = false) => {
    const ms: number[] = [];
    let bytes = 0,
      sel = 0;
    const meter = new Meter(ctx.server);
    for (let k = 0; k < times; k++) {
      const c = await open(ctx, user);
      sel = (await c.must(`EXAMINE "${BIG}"`)).ms;
      const d = await c.must(command);
      if (d.fetches !== want) throw new Error(`${name}: ${d.fetches} FETCH replies, wanted ${want}`);
      ms.push(d.ms);
      bytes = d.bytes;
      await c.logout();
    }
    const { cost } = meter.stop(),
      m = median(ms);
    ctx.emit('imap-fetch', {
      params: name + (cold ? ' (first)' : ''),
      median_ms: round(m, 1),
      min_ms: round(Math.min(...ms), 1),
      msgs_s: round((want / m) * 1000, 0),
      mb_s: round(bytes / m / 1000, 1),
      mb: round(bytes / 1e6, 2),
      examine_ms: round(sel, 2),
      server_cpu_ms: round((cost.server_cpu_s * 1000) / times, 1),
      client_cpu_ms: round((cost.client_cpu_s * 1000) / times, 1),
      idle_pct: cost.idle_pct,
    });
  };
  const META = 'FETCH 1:* (UID FLAGS RFC822.SIZE ENVELOPE BODYSTRUCTURE)';
  if (!ctx.args.has('no-cold')) await one('meta 1:*', META, n, 1, true);
  await one('meta 1:*', META, n);
  await one('flags 1:*', 'FETCH 1:* (UID FLAGS)', n);
  await one(
    'headers 1:* (From Subject Date ...)',
    'FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS (FROM TO CC SUBJECT DATE MESSAGE-ID REFERENCES CONTENT-TYPE)])',
    n,
    Math.min(3, reps),
  );
  await one(`body 1:${bodies}`, `FETCH 1:${bodies} (BODY.PEEK[])`, bodies);
  // one by one, in seeded random order: what a client opening messages does
  const c = await open(ctx, user),
    r = rng(ctx.seed + 3),
    lat: number[] = [];
  await c.must(`EXAMINE "${BIG}"`);
  const meter = new Meter(ctx.server);
  let bytes = 0;
  for (let k = 0; k < 1000; k++) {
    const d = await c.must(`FETCH ${1 + Math.floor(r() * n)} (UID FLAGS BODY.PEEK[])`);
    if (d.fetches !== 1) throw new Error('single fetch: no reply');
    lat.push(d.ms);
    bytes += d.bytes;
  }
  const { s, cost } = meter.stop();
  await c.logout();
  ctx.emit('imap-fetch', {
    params: 'body of 1 message, random x1000',
    msgs_s: round(1000 / s, 0),
    mb_s: round(bytes / s / 1e6, 1),
    ...pct('one', lat, [50, 99]),
    server_cpu_ms: round(cost.server_cpu_s * 1000, 1),
    client_cpu_ms: round(cost.client_cpu_s * 1000, 1),
    idle_pct: cost.idle_pct,
  });
  // four connections at once: does the server use more than one core?
  const cs = await Promise.all([0, 1, 2, 3].map(() => open(ctx, user)));
  await Promise.all(cs.map((x) => x.must(`EXAMINE "${BIG}"`)));
  const m4 = new Meter(ctx.server),
    t0 = now();
  await Promise.all(cs.map((x) => x.must(META)));
  const el = now() - t0,
    cost4 = m4.stop().cost;
  await Promise.all(cs.map((x) => x.logout()));
  ctx.emit('imap-fetch', {
    params: 'meta 1:* on 4 connections',
    median_ms: round(el, 1),
    msgs_s: round((4 * n * 1000) / el, 0),
    server_cpu_ms: round(cost4.server_cpu_s * 1000, 1),
    client_cpu_ms: round(cost4.client_cpu_s * 1000, 1),
    idle_pct: cost4.idle_pct,
  });
}

export async function ops(ctx: Ctx): Promise<void> {
  const user = ctx.args.num('user', 1),
    n = ctx.args.num('n', 500),
    bulk = ctx.args.num('bulk', 1000);
  const c = await open(ctx, user),
    corpus = new Corpus(ctx.seed),
    hasMove = / MOVE\b/.test(' ' + c.caps) || true;
  for (const b of ['ops-a', 'ops-b', 'ops-c', 'ops-d']) {
    await c.cmd(`DELETE "${b}"`);
    await c.must(`CREATE "${b}"`);
  }

  const serial = async (name: string, count: number, f: (k: number) => Promise<{ ok: boolean; text: string; ms: number }>) => {
    const lat: number[] = [],
      meter = new Meter(ctx.server);
    for (let k = 0; k < count; k++) {
      const d = await f(k);
      if (!d.ok) throw new Error(name + ': ' + d.text);
      lat.push(d.ms);
    }
    const { s, cost } = meter.stop();
    ctx.emit('imap-ops', {
      params: name,
      ops_s: round(count / s, 1),
      ...pct('op', lat, [50, 99]),
      flushes_per_op: round(cost.disk_flushes / count, 2),
      server_cpu_ms_per_op: round((cost.server_cpu_s * 1000) / count, 3),
      ...cost,
    });
  };
  const once = async (name: string, msgs: number, command: string) => {
    const meter = new Meter(ctx.server),
      d = await c.must(command),
      { cost } = meter.stop();
    ctx.emit('imap-ops', {
      params: name,
      median_ms: round(d.ms, 1),
      msgs_s: round((msgs / d.ms) * 1000, 0),
      flushes: cost.disk_flushes,
      server_cpu_ms: round(cost.server_cpu_s * 1000, 1),
    });
  };
  const msg = (i: number, cls: number) => {
    const m = corpus.make(i, cls, user, ctx.user(user), 'ops');
    return [m.head, m.body];
  };

  await serial('append 2K, 1 connection', n, (k) => c.append('ops-a', '\\Seen', msg(k, 0)));
  {
    // 8 connections, 8 users, the size mix
    const cs = await Promise.all([1, 2, 3, 4, 5, 6, 7, 8].map((u) => open(ctx, 1 + ((user + u) % ctx.users))));
    for (const x of cs) {
      await x.cmd('DELETE "ops-mix"');
      await x.must('CREATE "ops-mix"');
    }
    const cls = mix(1000, ctx.seed);
    let next = 0,
      bytes = 0;
    const lat: number[] = [];
    const meter = new Meter(ctx.server);
    await Promise.all(
      cs.map(async (x) => {
        while (next < 1000) {
          const i = next++,
            p = msg(i, cls[i]!);
          bytes += p[0]!.length + p[1]!.length;
          const d = await x.append('ops-mix', '', p);
          if (!d.ok) throw new Error(d.text);
          lat.push(d.ms);
        }
      }),
    );
    const { s, cost } = meter.stop();
    ctx.emit('imap-ops', {
      params: 'append mix, 8 connections',
      ops_s: round(1000 / s, 1),
      mb_s: round(bytes / s / 1e6, 1),
      ...pct('op', lat, [50, 99]),
      flushes_per_op: round(cost.disk_flushes / 1000, 2),
      server_cpu_ms_per_op: round(cost.server_cpu_s, 3),
      ...cost,
    });
    for (const x of cs) {
      await x.cmd('DELETE "ops-mix"');
      await x.logout();
    }
  }
  await c.must(`SELECT "${BIG}"`);
  await c.must('STORE 1:* -FLAGS.SILENT (\\Answered)');
  await serial('store 1 flag, 1 message', n, (k) => c.cmd(`STORE ${1 + ((k * 7) % c.exists)} +FLAGS (\\Answered)`)); // each one changes something
  await once('store 1:* +flag (10k)', c.exists, 'STORE 1:* +FLAGS.SILENT (\\Flagged)');
  await once('store 1:* -flag (10k)', c.exists, 'STORE 1:* -FLAGS.SILENT (\\Flagged)');
  await serial('copy 1 message', 200, (k) => c.cmd(`COPY ${1 + k * 3} "ops-b"`));
  await once(`copy ${bulk}`, bulk, `COPY 1:${bulk} "ops-c"`);
  await c.must('SELECT "ops-c"');
  if (hasMove) {
    await serial('move 1 message', 200, () => c.cmd('MOVE 1 "ops-d"'));
    await once(`move ${bulk - 200}`, bulk - 200, 'MOVE 1:* "ops-d"');
  }
  await c.must(`SELECT "ops-${hasMove ? 'd' : 'c'}"`);
  await serial('store \\Deleted + expunge, 1 message', 200, async () => {
    const a = await c.cmd('STORE 1 +FLAGS.SILENT (\\Deleted)'),
      b = await c.cmd('EXPUNGE');
    return { ok: a.ok && b.ok, text: b.text, ms: a.ms + b.ms };
  });
  await c.must('STORE 1:* +FLAGS.SILENT (\\Deleted)');
  await once(`expunge ${bulk - 200}`, bulk - 200, 'EXPUNGE');
  await c.must('SELECT INBOX');
  for (const b of ['ops-a', 'ops-b', 'ops-c', 'ops-d']) await c.must(`DELETE "${b}"`);
  await c.logout();
}

export async function search(ctx: Ctx): Promise<void> {
  const user = ctx.args.num('user', 1),
    reps = ctx.args.num('reps', 3);
  for (const [name, q] of [
    ['subject', 'SUBJECT needleodd'],
    ['from', 'FROM "greta"'],
    ['since', 'SENTSINCE 5-Jan-2026'],
    ['unseen', 'UNSEEN'],
    ['header message-id', 'HEADER Message-ID fill.777.'],
    ['body', 'BODY haystackpin'],
    ['text', 'TEXT haystackpin'],
  ] as const) {
    const ms: number[] = [];
    let hits = 0;
    const meter = new Meter(ctx.server);
    for (let k = 0; k <= reps; k++) {
      const c = await open(ctx, user);
      await c.must(`EXAMINE "${BIG}"`);
      c.onLine = (l) => {
        if (l.startsWith('* SEARCH')) hits = l.length > 9 ? l.slice(9).trim().split(' ').length : 0;
      };
      const d = await c.must('SEARCH ' + q);
      ms.push(d.ms);
      await c.logout();
      if (d.ms > 30000) break;
    }
    const { cost } = meter.stop();
    ctx.emit('imap-search', {
      params: name,
      first_ms: round(ms[0]!, 1),
      median_ms: round(median(ms.slice(1).length ? ms.slice(1) : ms), 1),
      hits,
      server_cpu_ms: round((cost.server_cpu_s * 1000) / ms.length, 1),
    });
  }
}
