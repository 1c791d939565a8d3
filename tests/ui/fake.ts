// A portal in memory with much to look at, which speaks the API as the web UI asks it. It keeps no promise but that of the
// shapes: screens are looked at and walked with it, also in states that a real site is rarely in.

import { serveUi } from '../../uplink/portal/ui.ts';
import type { Account, Alias, Device, Domain, Role, Session, Site } from '../../uplink/ui/contract.ts';
import { type SiteData, sampleAudit, sampleDevice, sampleMembers, samplePasskeys, sampleSites, sampleTokens } from './sample.ts';

export interface FakePortal {
  readonly url: string;
  /** Who is signed in, as what; null: nobody. */
  as(role: Role | null): void;
  /** Turns everything back to the sample. `empty`: an organisation without sites. */
  reset(options?: { empty?: boolean }): void;
  site(id: string): SiteData;
  /** Changes a site's record and tells those who watch. */
  change(id: string, change: Partial<Site>): void;
  /** What becomes of the commands that are given from now on. */
  ends(how: { state: string; value: string | null }): void;
  stop(): void;
}

interface Call {
  readonly parts: readonly string[];
  readonly body: Readonly<Record<string, unknown>>;
  readonly query: URLSearchParams;
  readonly request: Request;
}
const problem = (status: number, title: string, detail: string, errors: { path: string; message: string }[] = []): Response =>
  Response.json({ type: `urn:mailsite:problem:${status}`, title, status, detail, errors }, { status, headers: { 'content-type': 'application/problem+json' } });
const list = (items: readonly unknown[]): Response => Response.json({ items, next: null });
const claimOf = (id: string) => {
  const text = `ms1.portal.linden.example.${id}.q7Vb2m4Xc9Lk1TzP0sJ8fYwRdE5nHgUa3oKiQvBxMtC`;
  return { id, text, command: `mailsite join ${text}`, expiresAt: Date.now() + 3_600_000 };
};

export function startFake(port = 0): FakePortal {
  let role: Role | null = 'owner';
  let ended: { state: string; value: string | null } = { state: 'done', value: null };
  let totp = false;
  let sites: SiteData[] = [];
  let members = sampleMembers(Date.now());
  let tokens = sampleTokens(Date.now());
  let device: Device | null = null;
  const watchers = new Set<(id: string) => void>();
  const tell = (id: string): void => watchers.forEach((run) => run(id));

  const session = (): Session => ({
    person: { id: 'p1', name: 'Mara Jensen', email: 'mara@linden.example', totp, passkeys: 1, recoveryCodes: totp ? 8 : 0 },
    organisations: [
      { id: 'linden-trust', name: 'Linden Trust', role: role ?? 'owner', domains: role === 'domain admin' ? ['garden.linden.example'] : [] },
      { id: 'other', name: 'Rowing club', role: 'read-only', domains: [] },
    ],
    strong: totp,
    expiresAt: Date.now() + 8.64e7,
    reauthAt: Date.now(),
  });
  const find = (id: string): SiteData | undefined => sites.find((data) => data.site.id === id);
  const change = (id: string, part: Partial<Site>): void => {
    const data = find(id);
    if (data === undefined) return;
    data.site = { ...data.site, ...part };
    tell(id);
  };
  /** One new rev; a site that is online takes it soon. */
  const edited = (data: SiteData, summary: string): Response => {
    const { id, wantedRev, state } = data.site;
    const rev = wantedRev + 1;
    data.revisions = [{ rev, at: Date.now(), by: 'mara@linden.example', summary }, ...data.revisions];
    change(id, { wantedRev: rev });
    if (state === 'online') setTimeout(() => change(id, { runningRev: rev, status: 'applied', errors: [] }), 900);
    return Response.json({ wantedRev: rev });
  };

  const outside = ({ parts, body, request }: Call): Response | null => {
    const at = `${request.method} ${parts.join('/')}`;
    if (at === 'POST setup' || at === 'POST invitations/accept' || at === 'POST session/link') {
      if (body['token'] === 'bad')
        return problem(401, 'Not signed in', 'This link is not good, or was used: mailsite portal link, on the machine of the portal, prints a new one.');
      role = 'owner';
      return Response.json(session(), { status: 201 });
    }
    if (at === 'POST invitations/show') return Response.json({ organisation: 'Linden Trust', email: 'noor@linden.example', role: 'helpdesk', known: false });
    if (at === 'POST session') {
      if (body['password'] !== 'correct horse battery')
        return problem(401, 'Not signed in', 'The address or the password is not right. After some tries one has to wait.');
      if (body['email'] === 'totp@linden.example' && body['code'] === undefined) return Response.json({ needs: 'totp' });
      role ??= 'owner';
      return Response.json(session());
    }
    if (at === 'GET session') return role === null ? problem(401, 'Not signed in', 'Sign in first.') : Response.json(session());
    if (at === 'DELETE session') {
      role = null;
      return new Response(null, { status: 204 });
    }
    return null;
  };
  const mine = ({ parts, body, request }: Call): Response | null => {
    const at = `${request.method} ${parts.join('/')}`;
    const now = Date.now();
    if (at === 'GET sessions')
      return list([
        { id: 's1', current: true, createdAt: now, seenAt: now, address: '203.0.113.20', agent: 'Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0' },
        { id: 's2', current: false, createdAt: now, seenAt: now - 9e7, address: '198.51.100.4', agent: 'Mozilla/5.0 (iPhone) Safari/604.1' },
      ]);
    if (at === 'GET me/passkeys') return list(samplePasskeys(now));
    if (at === 'POST me/totp')
      return Response.json({
        secret: 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP',
        uri: 'otpauth://totp/mailsite:mara%40linden.example?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=mailsite',
      });
    if (at === 'PUT me/totp') {
      if (body['code'] !== '123456')
        return problem(422, 'Not valid', 'This code is not right: wait for the next one and type that.', [{ path: 'body.code', message: 'is not right' }]);
      totp = true;
      return Response.json({ recoveryCodes: ['4f7k-9m2p', 'x3vd-81qa', 'p0zs-55ty', 'm8he-2wcb', 'r6jn-70lf', 'c1gu-94xk', 'b5oi-36zv', 'y2at-18dm'] });
    }
    if (parts[0] === 'me' || parts[0] === 'sessions') return request.method === 'GET' ? null : new Response(null, { status: 204 });
    return null;
  };
  /** One machine waits, with the code that `sampleDevice` has. */
  const ofDevices = ({ code, method, body }: { code: string; method: string; body: Call['body'] }): Response => {
    if (device === null || code !== device.code)
      return method === 'POST'
        ? problem(422, 'Not valid', 'Some of what was sent is not right: see errors, correct it, and send it again.', [
            { path: 'body.code', message: 'is not shown by any machine that waits' },
          ])
        : problem(404, 'Not found', 'There is no such thing, or it is not yours.');
    if (method === 'GET') return Response.json(device);
    const { address } = device;
    device = null;
    if (method === 'DELETE') return new Response(null, { status: 204 });
    const known = find(String(body['site']));
    const made = known ?? blankSite(String(body['name']));
    if (known === undefined) sites = [...sites, made];
    return Response.json({ site: made.site, address }, { status: 201 });
  };
  const blankSite = (name: string): SiteData => {
    const waiting = sampleSites(Date.now()).find((data) => data.site.state === 'waiting') as SiteData;
    return { ...waiting, site: { ...waiting.site, id: `new${sites.length}`, name } };
  };
  const ofOrganisation = ({ parts, body, request }: Call): Response | null => {
    const [, , what, id] = parts;
    const now = Date.now();
    const at = `${request.method} ${what}`;
    if (at === 'GET members') return list(members);
    if (at === 'PATCH members') {
      members = members.map((m) => (m.person === id ? { ...m, role: body['role'] as Role } : m));
      return Response.json(members.find((m) => m.person === id));
    }
    if (at === 'DELETE members') members = members.filter((m) => m.person !== id);
    if (at === 'POST invitations')
      return Response.json({ id: 'i1', link: 'https://portal.linden.example/invitation#q7Vb2m4Xc9Lk1TzP0sJ8fYwR', expiresAt: now + 6e8 }, { status: 201 });
    if (at === 'GET tokens') return list(tokens);
    if (what === 'devices') return ofDevices({ code: id ?? String(body['code']), method: request.method, body });
    if (at === 'POST tokens') return Response.json({ id: 't9', token: 'mst_q7Vb2m4Xc9Lk1TzP0sJ8fYwRdE5nHgUa', expiresAt: now + 9e9 }, { status: 201 });
    if (at === 'DELETE tokens') tokens = tokens.filter((t) => t.id !== id);
    if (at === 'GET alarms') return list([]);
    if (at === 'GET audit') return list(sampleAudit(now));
    if (at === 'GET sites' && id === undefined) return list(sites.map((data) => data.site));
    if (at === 'POST sites' && id === undefined) {
      const made = blankSite(String(body['name']));
      sites = [...sites, made];
      return Response.json({ site: made.site, claim: claimOf('c1') }, { status: 201 });
    }
    return request.method === 'DELETE' || request.method === 'PATCH' ? new Response(null, { status: 204 }) : null;
  };

  /** Rows by their name: list, add, read, change, remove. */
  const rows = <T extends Domain | Account | Alias>(
    call: Call,
    data: SiteData,
    all: T[],
    keep: (rows: T[]) => void,
    nameOf: (row: T) => string,
    blank: Partial<T>,
  ): Response | null => {
    const { method } = call.request;
    const [what = '', name] = call.parts.slice(4);
    const row = all.find((one) => nameOf(one) === name);
    if (method === 'GET')
      return name === undefined ? list(all) : row === undefined ? problem(404, 'Not found', 'There is no such thing here.') : Response.json(row);
    if (method === 'POST') {
      const made = { ...blank, ...call.body } as T;
      if (all.some((one) => nameOf(one) === nameOf(made))) return problem(409, 'Not now', `${nameOf(made)} is there already.`);
      if (what === 'domains' && !nameOf(made).includes('.'))
        return problem(422, 'Not valid', 'Some of what was sent is not right: see errors, correct it, and send it again.', [
          { path: 'body.name', message: 'must be a domain, such as example.org' },
        ]);
      keep([...all, made]);
      return edited(data, `${what} ${nameOf(made)}`);
    }
    if (row === undefined) return problem(404, 'Not found', 'There is no such thing here.');
    keep(method === 'DELETE' ? all.filter((one) => one !== row) : all.map((one) => (one === row ? { ...row, ...call.body } : one)));
    return edited(data, `${what} ${name}`);
  };
  const ofSite = (call: Call, data: SiteData): Response | null => {
    const { parts, body, request, query } = call;
    const [what, name, more] = parts.slice(4);
    const at = `${request.method} ${what ?? ''}`;
    const { site } = data;
    const offline = (): Response =>
      site.state !== 'offline'
        ? problem(409, 'Not possible now', 'This site has no machine in service: there is nobody to ask.')
        : problem(503, 'Not available now', 'The site is not connected now: what only it knows can be seen when it is back.');
    if (at === 'GET ') return Response.json(site);
    if (at === 'PATCH ') {
      change(site.id, body as Partial<Site>);
      return Response.json({ wantedRev: site.wantedRev });
    }
    if (at === 'POST claims') return Response.json({ claim: claimOf('c2') }, { status: 201 });
    if (at === 'GET overview') return Response.json({ live: site.state === 'online', at: site.lastSeenAt, facts: factsOf(site) });
    if (what === 'domains' && more === 'dns')
      return site.state === 'online'
        ? Response.json({ items: data.dns.map((row) => ({ ...row, name: row.name.replace('linden.example', name ?? '') })) })
        : offline();
    if (what === 'domains')
      return rows<Domain>(
        call,
        data,
        data.domains,
        (next) => (data.domains = next),
        (row) => row.name,
        { aliasOf: null, catchAll: null, subaddress: '+' },
      );
    if (what === 'accounts' && more === 'password') {
      edited(data, `password ${name}`);
      return Response.json({ wantedRev: data.site.wantedRev, password: 'hq4mt-w8xzd-2kcvr-9pjns' });
    }
    if (what === 'accounts')
      return rows<Account>(
        call,
        data,
        data.accounts,
        (next) => (data.accounts = next),
        (row) => row.address,
        { quotaBytes: 0, enabled: true, name: '' },
      );
    if (what === 'aliases')
      return rows<Alias>(
        call,
        data,
        data.aliases,
        (next) => (data.aliases = next),
        (row) => row.address,
        {},
      );
    if (at === 'GET queue' && name === undefined) return site.state === 'online' ? Response.json({ queue: { messages: data.queue, next: null } }) : offline();
    if (at === 'GET queue') {
      const message = data.queue.find((m) => String(m.id) === name);
      return message === undefined ? problem(404, 'Not found', 'It has left the queue.') : Response.json({ message });
    }
    if (at === 'POST queue') {
      const ids = body['ids'] as number[];
      const action = String(body['action']);
      const state = action === 'hold' ? ('held' as const) : ('waiting' as const);
      data.queue = data.queue
        .filter((m) => action !== 'delete' || !ids.includes(m.id))
        .map((m) =>
          ids.includes(m.id) ? { ...m, recipients: m.recipients.map((r) => ({ ...r, state, nextAttempt: state === 'held' ? null : Date.now() })) } : m,
        );
      return Response.json({ command: 'c1' }, { status: 202 });
    }
    if (at === 'GET commands') return Response.json({ id: name, name: 'queue.hold', ...ended });
    if (at === 'GET trace') {
      const about = (query.get('about') ?? '').toLowerCase();
      const messages = data.traces.filter((m) => [m.from, m.messageId, ...m.to].some((word) => word.toLowerCase().includes(about)));
      return Response.json({ items: { messages, refusals: data.refusals.filter((r) => r.to === about || r.from === about), more: false } });
    }
    if (at === 'GET events') return list(data.events.slice(0, Number(query.get('limit') ?? 50)));
    if (at === 'GET snapshots') return list(data.snapshots);
    if (at === 'POST snapshots' && more === 'launch') return Response.json({ claim: claimOf('c3') }, { status: 201 });
    if (at === 'POST snapshots') return Response.json({ command: 'c4' }, { status: 202 });
    if (at === 'GET document' && name === 'revisions') return list(data.revisions);
    if (at === 'GET document')
      return Response.json(
        {
          rev: site.wantedRev,
          document: {
            host: site.host,
            outbound: { relays: [{ for: '*', host: 'relay.provider.example', port: 587, user: 'linden', password: '' }] },
            network: { resolvers: ['127.0.0.1:53'] },
          },
        },
        { headers: { etag: `"${site.wantedRev}"` } },
      );
    if (at === 'PUT document' || (at === 'POST document' && name === 'rollback'))
      return edited(data, name === 'rollback' ? `back to rev ${body['rev']}` : 'the whole document');
    if (at === 'DELETE ') {
      sites = sites.filter((one) => one !== data);
      return new Response(null, { status: 204 });
    }
    return null;
  };
  const factsOf = (site: Site) => ({
    version: site.version,
    host: site.host,
    mail: { messages: 412_806, octets: 52.4e9 },
    engine: 'LMDB',
    diskOctets: 58.1e9,
    freeOctets: 341e9,
    listeners: [
      ['smtp', 25],
      ['submissions', 465],
      ['submission', 587],
      ['imaps', 993],
    ].map(([name, port]) => ({ name, address: '::', port })),
    certificate: { notAfter: Date.now() + (site.certificateDays ?? 0) * 86_400_000, selfSigned: false },
    damage: 0,
    parking: 'https://portal.linden.example',
  });
  const stream = (request: Request): Response => {
    const encoder = new TextEncoder();
    return new Response(
      new ReadableStream({
        start(controller) {
          const run = (id: string): void => controller.enqueue(encoder.encode(`event: site\ndata: ${JSON.stringify({ id })}\n\n`));
          controller.enqueue(encoder.encode(': alive\n\n'));
          watchers.add(run);
          request.signal.addEventListener('abort', () => watchers.delete(run));
        },
      }),
      { headers: { 'content-type': 'text/event-stream' } },
    );
  };

  const answer = async (request: Request): Promise<Response> => {
    const url = new URL(request.url);
    if (!url.pathname.startsWith('/api/v1/')) return serveUi(request);
    const parts = url.pathname.slice(8).split('/').map(decodeURIComponent);
    const body = request.method === 'GET' ? {} : ((await request.json().catch(() => ({}))) as Record<string, unknown>);
    const call: Call = { parts, body, query: url.searchParams, request };
    if (request.method !== 'GET' && request.headers.get('x-mailsite') !== '1')
      return problem(403, 'Not allowed', 'This did not come from the pages of the portal.');
    const early = outside(call);
    if (early !== null) return early;
    if (role === null) return problem(401, 'Not signed in', 'Sign in first.');
    if (parts.at(-1) === 'stream') return stream(request);
    const data = parts[2] === 'sites' && parts[3] !== undefined ? find(parts[3]) : undefined;
    return (
      (parts[0] !== 'organisations' ? mine(call) : data === undefined ? ofOrganisation(call) : ofSite(call, data)) ??
      problem(404, 'Not found', 'There is no such thing here.')
    );
  };
  const reset = ({ empty = false }: { empty?: boolean } = {}): void => {
    sites = empty ? [] : sampleSites(Date.now());
    members = sampleMembers(Date.now());
    tokens = sampleTokens(Date.now());
    device = sampleDevice(Date.now());
    totp = false;
    ended = { state: 'done', value: null };
  };
  reset();
  const server = Bun.serve({ hostname: '127.0.0.1', port, idleTimeout: 255, fetch: answer });
  return {
    url: `http://127.0.0.1:${server.port}`,
    as: (next) => {
      role = next;
    },
    reset,
    site: (id) => find(id) as SiteData,
    change,
    ends: (how) => {
      ended = how;
    },
    stop: () => void server.stop(true),
  };
}
