// (a) smtp-ingest: concurrent connections, a size mix, random users; then every acknowledged
// message is looked for by IMAP. Two rates matter: accepted (the 250) and visible (IMAP shows it).
import { Imap, Smtp } from '../lib/conn.ts';
import { Meter } from '../lib/meter.ts';
import { Corpus, CLASSES, mix } from '../lib/mime.ts';
import { type Ctx, now, pct, rng, round, sleep } from '../lib/util.ts';

/** One IMAP connection for each user, logged in. */
export async function openAll(ctx: Ctx): Promise<Imap[]> {
  const out: Imap[] = [];
  for (let u = 1; u <= ctx.users; u++) {
    const c = await Imap.open(ctx.host, ctx.imap, ctx.tls);
    await c.login(ctx.user(u), ctx.pass);
    out.push(c);
  }
  return out;
}

async function messageIds(c: Imap, fromUid: number): Promise<string[]> {
  await c.must('EXAMINE INBOX');
  const ids: string[] = [];
  let lit = '';
  const take = () => {
    const m = /<[^>]+>/.exec(lit);
    if (m) ids.push(m[0]);
    lit = '';
  };
  c.onLine = () => take();
  c.onLiteral = (p) => {
    lit += p;
  };
  await c.must(`UID FETCH ${fromUid}:* BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)]`);
  take();
  c.onLine = null;
  c.onLiteral = null;
  return ids;
}

export async function smtpIngest(ctx: Ctx): Promise<void> {
  const { args } = ctx;
  const conns = args.num('conns', 20),
    n = args.num('messages', 2000),
    perConn = args.num('per-conn', 1);
  const only = args.num('class', -1),
    run = args.str('run', Date.now().toString(36)),
    check = !args.has('no-imap');
  const waitS = args.num('visible-timeout', 300);
  const corpus = new Corpus(ctx.seed),
    r = rng(ctx.seed + 17);
  const msgs = mix(n, ctx.seed, only).map((cls, i) => {
    const u = 1 + Math.floor(r() * ctx.users);
    return corpus.make(i, cls, u, ctx.user(u), run);
  });
  const bytes = msgs.reduce((a, m) => a + m.size, 0);
  const boxes = check ? await openAll(ctx) : [];
  const before = await Promise.all(boxes.map((b) => b.status('INBOX')));

  const finals: number[] = [],
    totals: number[] = [],
    firsts: number[] = [];
  const acked: Set<string>[] = Array.from({ length: ctx.users }, () => new Set());
  const refused = new Map<string, number>();
  const refuse = (why: string) => {
    refused.set(why, (refused.get(why) ?? 0) + 1);
    if (refused.get(why)! > n / 5) throw new Error('too many refusals: ' + why);
  };
  let next = 0,
    ok = 0,
    reconnects = 0;
  const meter = new Meter(ctx.server),
    meterAccept = new Meter(ctx.server),
    t0 = now();
  let lastAck = t0;

  const worker = async () => {
    while (next < n) {
      let c: Smtp;
      const tc = now();
      try {
        c = await Smtp.open(ctx.host, ctx.smtp, ctx.tls);
        if (args.has('smtp-auth')) await c.auth(ctx.user(1), ctx.pass);
      } catch (e) {
        if (++reconnects > 1000) throw e;
        await sleep(20);
        continue;
      }
      firsts.push(now() - tc);
      try {
        for (let k = 0; (perConn === 0 || k < perConn) && next < n; k++) {
          const m = msgs[next++]!;
          const d = await c.send('sender@sender.test', ctx.user(m.user), m.head, m.body);
          if (d.code === 250) {
            ok++;
            acked[m.user - 1]!.add(m.id);
            finals.push(d.final);
            totals.push(d.total);
            lastAck = now();
          } else refuse(d.text.slice(0, 40).replace(/\S*\d\S{8,}/g, '*'));
        }
        await c.quit();
      } catch (e) {
        refuse(String(e));
        c.close();
      }
    }
  };
  await Promise.all(Array.from({ length: conns }, worker));
  const acceptS = (lastAck - t0) / 1000,
    acceptCost = meterAccept.stop().cost;

  let visibleS = 0,
    missing = 0,
    extra = 0,
    wrong = 0;
  if (check) {
    const want = acked.map((a, u) => before[u]!.messages + a.size);
    // one user at a time, so that asking costs the server next to nothing
    for (let u = 0; u < ctx.users; u++) while ((await boxes[u]!.status('INBOX')).messages < want[u]! && (now() - t0) / 1000 < waitS) await sleep(20);
    visibleS = (now() - t0) / 1000;
  }
  const { cost } = meter.stop();
  if (check) {
    for (let u = 0; u < ctx.users; u++) {
      // exact: the set of Message-IDs, not only the count
      const ids = acked[u]!.size ? await messageIds(boxes[u]!, before[u]!.uidnext) : [];
      const mine = ids.filter((x) => x.startsWith('<' + run + '.'));
      const seen = new Set(mine);
      for (const a of acked[u]!) if (!seen.has(a)) missing++;
      extra += mine.length - seen.size;
      wrong += mine.filter((x) => !acked[u]!.has(x)).length;
    }
    await Promise.all(boxes.map((b) => b.logout()));
  }
  ctx.emit('smtp-ingest', {
    params: `c=${conns} m=${n} per-conn=${perConn || 'all'}${only >= 0 ? ' only=' + CLASSES[only]!.name : ''}`,
    accepted: ok,
    refused: Object.fromEntries(refused),
    reconnects,
    accept_msgs_s: round(ok / acceptS, 1),
    accept_mb_s: round(bytes / acceptS / 1e6, 1),
    ...(check
      ? {
          visible_msgs_s: round(ok / visibleS, 1),
          visible_mb_s: round(bytes / visibleS / 1e6, 1),
          visible_after_s: round(visibleS - acceptS, 2),
          missing,
          duplicates: extra,
          unacked_present: wrong,
        }
      : {}),
    ...pct('final250', finals),
    ...pct('transaction', totals),
    ...pct('connect_ehlo', firsts, [50, 99]),
    server_cpu_ms_per_msg: round((cost.server_cpu_s * 1000) / ok, 3),
    client_cpu_ms_per_msg: round((cost.client_cpu_s * 1000) / ok, 3),
    flushes_per_msg: round(cost.disk_flushes / ok, 2),
    write_amplification: round((cost.disk_write_mb * 1e6) / bytes, 2),
    accept_idle_pct: acceptCost.idle_pct,
    accept_iowait_pct: acceptCost.iowait_pct,
    ...cost,
  });
  if (missing) {
    console.error(`LOST: ${missing} acknowledged messages are not in the mailboxes`);
    process.exitCode = 1;
  }
}
