// A portal for tests: the real store over the memory engine, the real HTTP server on loopback, and browsers and programs
// that talk to it. Its clock stands still until it is told.

import { afterAll } from 'vitest';
import { ensureIdentity } from '../../../uplink/portal/identity.ts';
import { setupLink } from '../../../uplink/portal/identity/first.ts';
import type { KindName } from '../../../uplink/portal/kinds.ts';
import { type Portal, serveHttp } from '../../../uplink/portal/process.ts';
import { openRecords, type Transaction } from '../../../uplink/portal/records.ts';
import { freshEngine } from '../engine.ts';
import { type TestWorld, testStore } from '../storage/fixture.ts';

export const passphrase = 'a horse eats no cucumber';

export interface Answer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: a test looks into whatever came
  readonly body: any;
  readonly headers: Headers;
}
interface Options {
  readonly headers?: Readonly<Record<string, string>>;
  /** As it is sent, in the place of a JSON body. */
  readonly raw?: string;
}

/** A browser with its cookie, or a program with its token. */
export interface Client {
  cookie: string | null;
  /** What a program sends with each request. */
  readonly headers: Readonly<Record<string, string>>;
  get(path: string, options?: Options): Promise<Answer>;
  post(path: string, body?: unknown, options?: Options): Promise<Answer>;
  put(path: string, body?: unknown, options?: Options): Promise<Answer>;
  patch(path: string, body?: unknown, options?: Options): Promise<Answer>;
  delete(path: string, options?: Options): Promise<Answer>;
  send(method: string, path: string, body?: unknown, options?: Options): Promise<Answer>;
}

export interface House {
  readonly portal: Portal;
  readonly world: TestWorld;
  readonly url: string;
  readonly api: string;
  browser(): Client;
  program(token: string): Client;
  /** The first owner, signed in, and the organisation. */
  owner(): Promise<{ client: Client; org: string; person: string }>;
  /** Another organisation of its own first owner, who is nobody else's. */
  tenant(name: string): Promise<{ client: Client; org: string; person: string }>;
  /** Somebody who joins `org`, invited by `by`. */
  member(by: Client, org: string, role: string, email: string, domains?: readonly string[]): Promise<{ client: Client; person: string }>;
  write(run: (tx: Transaction) => Promise<void>): Promise<void>;
  /** How many records of a kind there are. */
  count(kind: KindName): Promise<number>;
}

const servers: { stop(now: boolean): unknown }[] = [];
afterAll(() => {
  for (const server of servers) server.stop(true);
});

export async function house(url?: string): Promise<House> {
  const engine = await freshEngine();
  const store = await testStore({ engine, document: null });
  await store.ok('subscribe', {});
  const { world } = store;
  const records = openRecords(store.address, engine);
  const portal: { -readonly [K in keyof Portal]: Portal[K] } = { world, records, url: url ?? '', objects: 'objects' };
  await ensureIdentity(portal, () => {});
  const server = serveHttp(portal, { address: '127.0.0.1', port: 0 });
  servers.push(server);
  const at = `http://127.0.0.1:${server.port}`;
  portal.url = url ?? at;
  const here: House = {
    portal,
    world,
    url: portal.url,
    api: `${at}/api/v1`,
    browser: () => client(`${at}/api/v1`, new URL(portal.url).origin, null),
    program: (token) => client(`${at}/api/v1`, null, token),
    async owner() {
      const visitor = here.browser();
      const token = (await setupLink(portal))?.split('#')[1];
      const made = await visitor.post('/setup', { token, organisation: 'First', name: 'Olga', email: 'olga@example.org', password: passphrase });
      if (made.status !== 201) throw new Error(JSON.stringify(made.body));
      return { client: visitor, org: made.body.organisations[0].id, person: made.body.person.id };
    },
    async tenant(name) {
      const [org, person] = [`org-${name}`, `person-${name}`];
      const { addMember, addPerson } = await import('../../../uplink/portal/identity/person.ts');
      const { openSession } = await import('../../../uplink/portal/identity/session.ts');
      const visitor = here.browser();
      await records.transact(async (tx) => {
        tx.put('organisation', [org], { name, createdAt: world.now() });
        addPerson(tx, person, `${name}@example.org`, name, '', world.now());
        addMember(tx, org, person, 'owner', [], world.now());
        visitor.cookie = await openSession(tx, world, person, { address: '127.0.0.1', agent: 'test' }, { auth: 'password', strong: false });
      });
      return { client: visitor, org, person };
    },
    async member(by, org, role, email, domains = []) {
      const invited = await by.post(`/organisations/${org}/invitations`, { email, role, domains });
      if (invited.status !== 201) throw new Error(JSON.stringify(invited.body));
      const visitor = here.browser();
      const joined = await visitor.post('/invitations/accept', { secret: invited.body.link.split('#')[1], name: email, password: passphrase });
      if (joined.status !== 201) throw new Error(JSON.stringify(joined.body));
      return { client: visitor, person: joined.body.person.id };
    },
    write: (run) => records.transact(run),
    count: async (kind) => (await records.list(kind, [])).length,
  };
  return here;
}

function client(api: string, origin: string | null, token: string | null): Client {
  const own = token === null ? {} : { Authorization: `Bearer ${token}` };
  const me: Client = {
    cookie: null,
    headers: own,
    async send(method, path, body, options = {}) {
      const headers: Record<string, string> = { ...own };
      if (origin !== null && method !== 'GET') Object.assign(headers, { Origin: origin, 'X-Mailsite': '1' });
      if (me.cookie !== null) headers['Cookie'] = `mailsite=${me.cookie}; __Host-mailsite=${me.cookie}`;
      const content = options.raw ?? (body === undefined ? undefined : JSON.stringify(body));
      if (content !== undefined) headers['Content-Type'] = 'application/json';
      Object.assign(headers, options.headers);
      for (const [name, value] of Object.entries(headers)) if (value === '') delete headers[name];
      const response = await fetch(`${api}${path}`, { method, headers, ...(content === undefined ? {} : { body: content }) });
      const set = response.headers.get('set-cookie');
      if (set !== null) me.cookie = /=([^;]*)/.exec(set)?.[1] || null;
      const text = await response.text();
      return {
        status: response.status,
        headers: response.headers,
        body: response.headers.get('content-type')?.includes('json') && text !== '' && !text.includes('\n') ? JSON.parse(text) : text,
      };
    },
    get: (path, options) => me.send('GET', path, undefined, options),
    post: (path, body, options) => me.send('POST', path, body, options),
    put: (path, body, options) => me.send('PUT', path, body, options),
    patch: (path, body, options) => me.send('PATCH', path, body, options),
    delete: (path, options) => me.send('DELETE', path, undefined, options),
  };
  return me;
}
