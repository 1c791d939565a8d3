// (e) IDLE: from the SMTP 250 to "* n EXISTS" on the idling connections of that user, and the
// memory that an idling connection costs the server.
import { Imap, Smtp } from '../lib/conn.ts';
import { Meter, serverMemory } from '../lib/meter.ts';
import { Corpus } from '../lib/mime.ts';
import { type Ctx, now, pct, rng, round, sleep } from '../lib/util.ts';

export async function idle(ctx: Ctx): Promise<void> {
  const k = ctx.args.num('idlers', 200),
    n = ctx.args.num('messages', 60),
    timeout = ctx.args.num('push-timeout', 40000),
    settle = ctx.args.num('settle', 2000);
  const m0 = serverMemory(ctx.server),
    byUser: Imap[][] = Array.from({ length: ctx.users }, () => []);
  const t0 = now();
  let next = 0;
  await Promise.all(
    Array.from({ length: Math.min(10, k) }, async () => {
      while (next < k) {
        const u = next++ % ctx.users;
        const c = await Imap.open(ctx.host, ctx.imap, ctx.tls);
        await c.login(ctx.user(u + 1), ctx.pass);
        await c.must('SELECT INBOX');
        await c.idle();
        byUser[u]!.push(c);
      }
    }),
  );
  const openS = (now() - t0) / 1000;
  await sleep(settle);
  const m1 = serverMemory(ctx.server);
  const quiet = new Meter(ctx.server);
  await sleep(3000);
  const quietCost = quiet.stop().cost;

  const smtp = await Smtp.open(ctx.host, ctx.smtp, ctx.tls);
  const corpus = new Corpus(ctx.seed),
    r = rng(ctx.seed + 23),
    first: number[] = [],
    all: number[] = [];
  const busy = byUser.map((l, u) => (l.length ? u : -1)).filter((u) => u >= 0);
  let lost = 0;
  const meter = new Meter(ctx.server);
  for (let i = 0; i < n; i++) {
    const u = busy[Math.floor(r() * busy.length)]!,
      idlers = byUser[u]!,
      at: number[] = [];
    const got = new Promise<void>((ok) => {
      for (const c of idlers) {
        const had = c.exists;
        let seen = false;
        c.onExists = (e) => {
          if (e > had && !seen) {
            seen = true;
            at.push(now());
            if (at.length === idlers.length) ok();
          }
        };
      }
    });
    const m = corpus.make(i, 0, u + 1, ctx.user(u + 1), 'idle');
    const d = await smtp.send('sender@sender.test', ctx.user(u + 1), m.head, m.body);
    const t250 = now();
    if (d.code !== 250) throw new Error(d.text);
    await Promise.race([got, sleep(timeout)]);
    lost += idlers.length - at.length;
    if (at.length) {
      first.push(Math.min(...at) - t250);
      all.push(Math.max(...at) - t250);
    }
    await sleep(20 + r() * 60);
  }
  const { cost } = meter.stop();
  await smtp.quit();
  for (const l of byUser)
    for (const c of l) {
      c.onExists = null;
      c.done();
      await c.logout();
    }
  ctx.emit('imap-idle', {
    params: `idlers=${k}`,
    ...pct('push_first', first, [50, 99]),
    ...pct('push_all', all, [50, 99]),
    pushes_lost: lost,
    pss_before_mb: m0.pss_mb,
    pss_after_mb: m1.pss_mb,
    pss_kb_per_idle: round(((m1.pss_mb - m0.pss_mb) * 1024) / k, 1),
    anon_kb_per_idle: round(((m1.anon_mb - m0.anon_mb) * 1024) / k, 1),
    rss_kb_per_idle: round(((m1.rss_mb - m0.rss_mb) * 1024) / k, 1),
    processes_before: m0.processes,
    processes_after: m1.processes,
    open_s: round(openS, 2),
    quiet_server_cpu_pct: round((quietCost.server_cpu_s / quietCost.wall_s) * 100, 2),
    server_cpu_ms_per_msg: round((cost.server_cpu_s * 1000) / n, 2),
  });
}
