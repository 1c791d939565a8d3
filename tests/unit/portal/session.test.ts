// Coming in: A1 a session cannot be planted, A2 guesses are counted and survive a crash, A3 another site cannot make a browser
// change anything, A4 each way to sign in proves what it says, A5 what was taken away is gone at once.

import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { beforeEach, describe, expect, test } from 'vitest';
import { limits } from '../../../actors/limits.ts';
import { signInLink } from '../../../uplink/portal/identity/first.ts';
import { objection } from '../../../uplink/portal/identity/password.ts';
import { hashOf } from '../../../uplink/portal/identity/secret.ts';
import { sweep } from '../../../uplink/portal/identity/sweep.ts';
import { totpCode } from '../../../uplink/portal/identity/totp.ts';
import { type Client, type House, house, passphrase } from './house.ts';

let here: House;
let owner: Client;
let org: string;
const olga = { email: 'olga@example.org', password: passphrase };
beforeEach(async () => {
  here = await house();
  ({ client: owner, org } = await here.owner());
});
const step = (): number => Math.floor(here.world.time / 30_000);

describe('the first owner', () => {
  test('A4: the link is good once, and only a hash of it is kept', async () => {
    expect(await here.portal.records.get('setup')).toMatchObject({ secretHash: null });
    const again = await here.browser().post('/setup', { token: 'x'.repeat(43), organisation: 'X', name: 'X', email: 'x@example.org', password: passphrase });
    expect(again.status).toBe(401);
  });
  test('A4: a password that is short, common or one’s own name is not taken', async () => {
    for (const password of ['short', 'password1234', 'Password-1234', 'aaaaaaaaaaaaaaaa', 'q'.repeat(2_000)])
      expect(objection(password), password).not.toBeNull();
    expect(objection('olga@example.org', ['olga@example.org'])).not.toBeNull();
    expect(objection(passphrase)).toBeNull();
    expect((await owner.put('/me/password', { was: passphrase, password: '123456789012' })).body.errors[0].path).toBe('body.password');
  });
});

describe('A1: sessions', () => {
  test('the secret is new at each sign-in, and the planted one is worth nothing', async () => {
    const victim = here.browser();
    victim.cookie = 'x'.repeat(43);
    expect((await victim.post('/session', olga)).status).toBe(200);
    expect(victim.cookie).not.toBe('x'.repeat(43));
    const first = victim.cookie;
    expect((await victim.post('/session', olga)).status).toBe(200);
    expect(victim.cookie).not.toBe(first);
    const planter = here.browser();
    for (const planted of ['x'.repeat(43), first]) {
      planter.cookie = planted;
      expect((await planter.get('/session')).status).toBe(401);
    }
  });
  test.each([
    ['proving again', (c: Client) => c.put('/session', { password: passphrase })],
    ['a new password', (c: Client) => c.put('/me/password', { was: passphrase, password: `${passphrase}!` })],
    ['codes by time', async (c: Client) => c.put('/me/totp', { code: totpCode((await c.post('/me/totp')).body.secret, step()) })],
  ])('%s gives the session a new secret and ends the old one', async (_, change) => {
    const before = owner.cookie;
    expect((await change(owner)).status).toBe(200);
    expect(owner.cookie).not.toBe(before);
    expect((await owner.get('/session')).status).toBe(200);
    const old = here.browser();
    old.cookie = before;
    expect((await old.get('/session')).status).toBe(401);
  });
  test('a new password ends all others; each can be ended by itself; signing out ends it', async () => {
    const [one, two] = [here.browser(), here.browser()];
    for (const c of [one, two]) await c.post('/session', olga);
    const { items } = (await owner.get('/sessions')).body;
    expect(items).toHaveLength(3);
    expect(items.filter((row: { current: boolean }) => row.current)).toHaveLength(1);
    const id = hashOf(one.cookie ?? '');
    expect((await owner.delete(`/sessions/${id}`)).status).toBe(204);
    expect((await one.get('/session')).status).toBe(401);
    await owner.put('/me/password', { was: passphrase, password: `${passphrase}!` });
    expect((await two.get('/session')).status).toBe(401);
    const last = owner.cookie;
    expect((await owner.delete('/session')).status).toBe(204);
    expect(owner.cookie).toBeNull();
    owner.cookie = last;
    expect((await owner.get('/session')).status).toBe(401);
  });
  test('a session ends 14 days after its last use and 60 days after its start', async () => {
    const day = 86_400_000;
    here.world.time += 13 * day;
    expect((await owner.get('/session')).status).toBe(200);
    here.world.time += 13 * day;
    expect((await owner.get('/session')).status).toBe(200); // it was used in between
    here.world.time += 14 * day;
    expect((await owner.get('/session')).status).toBe(401);
    await owner.post('/session', olga);
    for (let passed = 0; passed < 60; passed += 10) {
      expect((await owner.get('/session')).status).toBe(200);
      here.world.time += 10 * day;
    }
    expect((await owner.get('/session')).status).toBe(401);
    expect(await here.count('session')).toBeGreaterThan(0);
    await sweep(here.portal);
    expect((await here.count('session')) + (await here.count('sessionOf'))).toBe(0);
  });
  test('only a hash of the secret is kept, and the cookie is closed to scripts and other sites', async () => {
    const answer = await owner.post('/session', olga);
    const cookie = answer.headers.get('set-cookie') ?? '';
    expect(cookie).toMatch(/^mailsite=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict; Max-Age=5184000$/);
    const kept = JSON.stringify([await here.portal.records.list('session', []), await here.portal.records.list('sessionOf', [])]);
    expect(kept).not.toContain(owner.cookie);
    const behind = await house('https://portal.example.org');
    const made = await behind.owner();
    const secure = (await made.client.post('/session', olga)).headers;
    expect(secure.get('set-cookie')).toMatch(/^__Host-mailsite=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict; Max-Age=5184000; Secure$/);
    expect(secure.get('strict-transport-security')).toContain('max-age');
  });
});

describe('A2: guesses', () => {
  const guess = (from: string, email = olga.email, password = 'not the password') =>
    here.browser().post('/session', { email, password }, { headers: { 'X-Forwarded-For': from } });
  test('at one login are stopped, from wherever they come, also the right one; and a crash forgives nothing', async () => {
    for (let i = 0; i < limits.portalFailuresPerLogin; i++) expect((await guess(`192.0.2.${i}`)).status).toBe(401);
    const stopped = await guess('198.51.100.1', olga.email, passphrase);
    expect(stopped.status).toBe(429);
    expect(stopped.headers.get('retry-after')).toBe('900');
    const fields = { protocol: 'portal', remote: '192.0.2.0', login: olga.email, reason: 'wrong' };
    expect(here.world.logged).toContainEqual({ event: 'auth.failed', fields });
    expect(JSON.stringify(here.world.logged)).not.toMatch(/not the password|horse/);
    const reread = await here.portal.records.get('attempts', `login:${hashOf(olga.email)}`);
    expect(reread?.count).toBe(limits.portalFailuresPerLogin);
    here.world.time += limits.authWindowMs;
    expect((await guess('198.51.100.1', olga.email, passphrase)).status).toBe(200);
  });
  test('from one address are stopped, whoever they are for; a neighbour in the same /64 is the same address', async () => {
    for (let i = 0; i < limits.authFailuresPerAddress; i++) expect((await guess(`2001:db8::${i}`, `nobody${i}@example.org`)).status).toBe(401);
    expect((await guess('2001:db8::ffff', olga.email, passphrase)).status).toBe(429);
    expect((await guess('2001:db8:0:1::1', olga.email, passphrase)).status).toBe(200);
  });
  test('at once are counted one by one', async () => {
    const answers = await Promise.all(Array.from({ length: 2 * limits.portalFailuresPerLogin }, (_, i) => guess(`192.0.2.${i}`)));
    expect(answers.filter(({ status }) => status === 401).length).toBeLessThanOrEqual(limits.portalFailuresPerLogin);
    expect(answers.every(({ status }) => [401, 429, 503].includes(status))).toBe(true);
  });
  test('a right password without its code forgives nothing', async () => {
    const { secret } = (await owner.post('/me/totp')).body;
    await owner.put('/me/totp', { code: totpCode(secret, step()) });
    for (let i = 0; i < limits.portalFailuresPerLogin; i++) {
      expect((await here.browser().post('/session', olga)).body).toEqual({ needs: 'totp' });
      expect((await here.browser().post('/session', { ...olga, code: '000000' })).status).toBe(401);
    }
    expect((await here.browser().post('/session', olga)).status).toBe(429);
  });
  test('somebody who is not there is told the same, after the same work', async () => {
    const [known, unknown] = [await guess('192.0.2.1'), await guess('192.0.2.2', 'nobody@example.org')];
    expect(unknown.body).toEqual(known.body);
    // the work is one argon2id of the same cost: counted, as a clock says little on a busy machine
    const real = Bun.password.verify;
    const costs: string[] = [];
    Bun.password.verify = (password, hash, ...more) => {
      costs.push(String(hash).split('$').slice(1, 4).join('$'));
      return real(password, hash, ...more);
    };
    try {
      await guess('192.0.2.3');
      await guess('192.0.2.4', 'nobody@example.org');
    } finally {
      Bun.password.verify = real;
    }
    expect(costs).toEqual(['argon2id$v=19$m=19456,t=2,p=1', 'argon2id$v=19$m=19456,t=2,p=1']);
  });
});

describe('A3: another site', () => {
  const write = (headers: Record<string, string>) => owner.patch('/me', { name: 'Eve' }, { headers });
  test('cannot change anything: Origin and header are needed, and are those of the portal', async () => {
    for (const headers of [
      { Origin: 'https://evil.test' },
      { Origin: '' },
      { Origin: 'null' },
      { 'X-Mailsite': '' },
      { Origin: `${here.url}.evil.test` },
    ] as Record<string, string>[])
      expect(await write(headers), JSON.stringify(headers)).toMatchObject({ status: 403, body: { type: 'urn:mailsite:problem:csrf' } });
    expect((await owner.get('/session')).body.person.name).toBe('Olga');
    expect((await write({})).status).toBe(204);
  });
  test('cannot sign a browser in as somebody else, either', async () => {
    expect((await here.browser().post('/session', olga, { headers: { Origin: 'https://evil.test' } })).status).toBe(403);
  });
  test('is given no leave by CORS, and a form cannot send JSON', async () => {
    for (const answer of [
      await owner.send('OPTIONS', '/session', undefined, { headers: { Origin: 'https://evil.test' } }),
      await owner.get('/session', { headers: { Origin: 'https://evil.test' } }),
    ])
      expect([...answer.headers.keys()].filter((name) => name.startsWith('access-control'))).toEqual([]);
    expect((await owner.patch('/me', { name: 'Eve' }, { headers: { 'Content-Type': 'text/plain' } })).status).toBe(415);
  });
  test('every answer says that it is data and nobody else’s', async () => {
    for (const path of ['/session', '/nothing', '/openapi.json']) {
      const { headers } = await owner.get(path);
      expect(headers.get('content-type')).toMatch(/^application\/(problem\+)?json$/);
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('content-security-policy')).toBe("default-src 'none'; frame-ancestors 'none'");
      expect(headers.get('cache-control')).toBe('no-store');
    }
  });
});

describe('A4: codes by time', () => {
  test('RFC 6238 appendix B', () => {
    const secret = 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ'; // 12345678901234567890
    for (const [time, code] of [
      [59, '287082'],
      [1111111109, '081804'],
      [1234567890, '005924'],
      [2000000000, '279037'],
    ] as const)
      expect(totpCode(secret, Math.floor(time / 30))).toBe(code);
  });
  test('are asked for, are good once, and recovery codes stand in for them, once', async () => {
    const { secret, uri } = (await owner.post('/me/totp')).body;
    expect(uri).toContain(`secret=${secret}`);
    expect((await owner.put('/me/totp', { code: '000000' })).status).toBe(401);
    const { recoveryCodes } = (await owner.put('/me/totp', { code: totpCode(secret, step()) })).body;
    expect(recoveryCodes).toHaveLength(10);
    const enter = (code?: string) => here.browser().post('/session', { ...olga, code });
    expect((await enter()).body).toEqual({ needs: 'totp' });
    expect((await enter(totpCode(secret, step()))).status).toBe(401); // was used to turn them on
    here.world.time += 30_000;
    expect((await enter(totpCode(secret, step()))).body).toMatchObject({ strong: true });
    expect((await enter(totpCode(secret, step()))).status).toBe(401);
    expect((await enter(recoveryCodes[0].toUpperCase())).status).toBe(200);
    expect((await enter(recoveryCodes[0])).status).toBe(401);
    expect(JSON.stringify(await here.portal.records.list('person', []))).not.toContain(recoveryCodes[1]);
    expect((await owner.delete('/me/totp')).body.person).toMatchObject({ totp: false, recoveryCodes: 0 });
  });
  test('cannot be changed from a screen that somebody left open', async () => {
    here.world.time += limits.reauthMs + 1;
    for (const answer of [await owner.post('/me/totp'), await owner.delete('/me/totp'), await owner.post('/me/passkeys/options')])
      expect(answer).toMatchObject({ status: 403, body: { type: 'urn:mailsite:problem:prove-again' } });
    expect((await owner.put('/session', { password: 'not the password' })).status).toBe(401);
    await owner.put('/session', { password: passphrase });
    expect((await owner.post('/me/totp')).status).toBe(200);
  });
});

describe('A4: passkeys', () => {
  /** An authenticator of our own: one P-256 key, no attestation. */
  function authenticator(origin: string) {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const { x = '', y = '' } = publicKey.export({ format: 'jwk' });
    const cose = Buffer.concat([
      Buffer.from('a5010203262001215820', 'hex'),
      Buffer.from(x, 'base64url'),
      Buffer.from('225820', 'hex'),
      Buffer.from(y, 'base64url'),
    ]);
    const id = Buffer.from('a-credential-id!');
    const data = (rp: string, flags: number, counter: number, more = Buffer.alloc(0)): Buffer => {
      const head = Buffer.alloc(5);
      head.writeUInt8(flags, 0);
      head.writeUInt32BE(counter, 1);
      return Buffer.concat([createHash('sha256').update(rp).digest(), head, more]);
    };
    const client = (type: string, challenge: string, from = origin): string =>
      Buffer.from(JSON.stringify({ type, challenge, origin: from, crossOrigin: false })).toString('base64url');
    const about = { id: id.toString('base64url'), rawId: id.toString('base64url'), type: 'public-key', clientExtensionResults: {} };
    return {
      create(challenge: string) {
        const attested = Buffer.concat([Buffer.alloc(16), Buffer.from([0, id.length]), id, cose]);
        const auth = data('127.0.0.1', 0x45, 0, attested);
        const object = Buffer.concat([Buffer.from('a363666d74646e6f6e656761747453746d74a068617574684461746158', 'hex'), Buffer.from([auth.length]), auth]);
        return {
          ...about,
          response: { clientDataJSON: client('webauthn.create', challenge), attestationObject: object.toString('base64url'), transports: ['internal'] },
        };
      },
      get(challenge: string, { counter = 1, flags = 0x05, rp = '127.0.0.1', from = origin } = {}) {
        const auth = data(rp, flags, counter);
        const json = client('webauthn.get', challenge, from);
        const signature = sign('sha256', Buffer.concat([auth, createHash('sha256').update(Buffer.from(json, 'base64url')).digest()]), privateKey);
        return { ...about, response: { clientDataJSON: json, authenticatorData: auth.toString('base64url'), signature: signature.toString('base64url') } };
      },
    };
  }
  const challenge = async (c: Client, path: string): Promise<string> => (await c.post(path)).body.options.challenge;

  test('sign in, with two factors in one', async () => {
    const device = authenticator(here.url);
    const made = await owner.post('/me/passkeys', { name: 'Phone', response: device.create(await challenge(owner, '/me/passkeys/options')) });
    expect(made, JSON.stringify(made.body)).toMatchObject({ status: 201, body: { name: 'Phone' } });
    const visitor = here.browser();
    const entered = await visitor.post('/session/passkey', { response: device.get(await challenge(visitor, '/session/passkey/options')) });
    expect(entered, JSON.stringify(entered.body)).toMatchObject({ status: 200, body: { strong: true, person: { email: olga.email, passkeys: 1 } } });
    expect((await owner.delete(`/me/passkeys/${made.body.id}`)).status).toBe(204);
    expect(
      (await visitor.post('/session/passkey', { response: device.get(await challenge(visitor, '/session/passkey/options'), { counter: 2 }) })).status,
    ).toBe(401);
  });
  test('are refused: used challenge, other origin, other party, user not verified, counter that went back, wrong signature', async () => {
    const device = authenticator(here.url);
    await owner.post('/me/passkeys', { name: 'Phone', response: device.create(await challenge(owner, '/me/passkeys/options')) });
    const visitor = here.browser();
    const fresh = () => challenge(visitor, '/session/passkey/options');
    const once = device.get(await fresh(), { counter: 5 });
    expect((await visitor.post('/session/passkey', { response: once })).status).toBe(200);
    const bad = device.get(await fresh(), { counter: 9 });
    const tried = [
      once,
      device.get(await fresh(), { counter: 6, from: 'https://evil.test' }),
      device.get(await fresh(), { counter: 6, rp: 'evil.test' }),
      device.get(await fresh(), { counter: 6, flags: 0x01 }),
      device.get(await fresh(), { counter: 5 }),
      device.get('x'.repeat(43), { counter: 6 }),
      { ...bad, response: { ...bad.response, signature: device.get(await fresh()).response.signature } },
      device.get(await challenge(owner, '/me/passkeys/options'), { counter: 6 }),
    ];
    for (const [i, response] of tried.entries()) expect((await visitor.post('/session/passkey', { response })).status, String(i)).toBe(401);
    expect((await visitor.post('/session/passkey', { response: device.get(await fresh(), { counter: 6 }) })).status).toBe(200);
  });
});

describe('A4: a way in from the machine', () => {
  test('the link signs in once, sets a password, and turns lost codes off', async () => {
    await owner.put('/me/totp', { code: totpCode((await owner.post('/me/totp')).body.secret, step()) });
    expect(await signInLink(here.portal, 'nobody@example.org')).toBeNull();
    const secret = (await signInLink(here.portal, 'Olga@Example.org'))?.split('#')[1];
    expect((await here.browser().post('/session/link', { secret, password: 'short' })).status).toBe(422);
    const visitor = here.browser();
    const entered = await visitor.post('/session/link', { secret, password: 'another one of mine' });
    expect(entered).toMatchObject({ status: 200, body: { person: { totp: false }, strong: false } });
    const authOf = async () => {
      await visitor.post(`/organisations/${org}/sites`, { name: 'Berlin' });
      const rows: { action: string; auth: string }[] = (await visitor.get(`/organisations/${org}/audit`)).body.items;
      return rows.find(({ action }) => action.startsWith('site.'))?.auth;
    };
    expect(await authOf()).toBe('session by link'); // neither a password nor a second factor was given
    await visitor.put('/session', { password: 'another one of mine' });
    expect(await authOf()).toBe('session by link, then password');
    expect((await here.browser().post('/session/link', { secret })).status).toBe(401);
    expect((await owner.get('/session')).status).toBe(401);
    expect((await here.browser().post('/session', { ...olga, password: 'another one of mine' })).status).toBe(200);
    const late = (await signInLink(here.portal, olga.email))?.split('#')[1];
    here.world.time += limits.signInLinkMs;
    expect((await here.browser().post('/session/link', { secret: late })).status).toBe(401);
  });
});

describe('A5: people and programs', () => {
  test('an invitation is good once, and whoever has been here before signs in first', async () => {
    const made = await owner.post(`/organisations/${org}/invitations`, { email: 'ann@example.org', role: 'helpdesk', domains: [] });
    const secret = made.body.link.split('#')[1];
    expect((await here.browser().post('/invitations/show', { secret })).body).toEqual({
      organisation: 'First',
      email: 'ann@example.org',
      role: 'helpdesk',
      known: false,
    });
    const ann = here.browser();
    expect((await ann.post('/invitations/accept', { secret })).status).toBe(422);
    expect((await ann.post('/invitations/accept', { secret, name: 'Ann', password: passphrase })).body.organisations).toMatchObject([
      { id: org, role: 'helpdesk' },
    ]);
    expect((await here.browser().post('/invitations/accept', { secret, name: 'Ann', password: passphrase })).status).toBe(404);
    const other = await here.tenant('other');
    const again = await other.client.post(`/organisations/${other.org}/invitations`, { email: 'ann@example.org', role: 'admin' });
    const second = { secret: again.body.link.split('#')[1] };
    expect((await here.browser().post('/invitations/accept', { ...second, name: 'Eve', password: passphrase })).status).toBe(401);
    expect((await ann.post('/invitations/accept', second)).body.organisations).toHaveLength(2);
    const late = await owner.post(`/organisations/${org}/invitations`, { email: 'late@example.org', role: 'helpdesk' });
    here.world.time += limits.invitationMs;
    expect((await here.browser().post('/invitations/accept', { secret: late.body.link.split('#')[1], name: 'L', password: passphrase })).status).toBe(404);
  });
  test('nobody gives away more than they have, and an owner stays', async () => {
    const { client: admin, person } = await here.member(owner, org, 'admin', 'adam@example.org');
    const me = (await owner.get('/session')).body.person.id;
    const base = `/organisations/${org}`;
    expect((await admin.post(`${base}/invitations`, { email: 'x@example.org', role: 'owner' })).status).toBe(403);
    expect((await admin.post(`${base}/tokens`, { name: 'x', role: 'owner' })).status).toBe(403);
    expect((await admin.patch(`${base}/members/${person}`, { role: 'owner', domains: [] })).status).toBe(403);
    expect((await admin.patch(`${base}/members/${me}`, { role: 'helpdesk', domains: [] })).status).toBe(403);
    expect((await admin.delete(`${base}/members/${me}`)).status).toBe(403);
    for (const answer of [await owner.patch(`${base}/members/${me}`, { role: 'admin', domains: [] }), await owner.delete(`${base}/members/${me}`)])
      expect(answer.status).toBe(409);
    expect((await owner.post(`${base}/invitations`, { email: 'x@example.org', role: 'domain admin' })).status).toBe(422);
  });
  test('a token may no more than whoever made it may now', async () => {
    const { client: admin, person } = await here.member(owner, org, 'admin', 'adam@example.org');
    const program = here.program((await admin.post(`/organisations/${org}/tokens`, { name: 'script', role: 'admin' })).body.token);
    const become = (role: 'admin' | 'helpdesk') => here.write(async (tx) => tx.put('membership', [org, person], { role, domains: [], since: 0 }));
    await become('helpdesk'); // by a way that ended no tokens
    expect((await program.get(`/organisations/${org}`)).status).toBe(401);
    await become('admin');
    expect((await program.get(`/organisations/${org}`)).status).toBe(200);
  });
  test('a role that changed ends the sessions; a member who left is out, with the tokens they made', async () => {
    const { client: admin, person } = await here.member(owner, org, 'admin', 'adam@example.org');
    const made = await admin.post(`/organisations/${org}/tokens`, { name: 'script', role: 'admin' });
    const program = here.program(made.body.token);
    expect((await program.get(`/organisations/${org}/sites`)).status).toBe(200);
    expect(JSON.stringify(await here.portal.records.list('token', []))).not.toContain(made.body.token);
    expect((await program.get('/session')).status).toBe(403);
    expect((await owner.patch(`/organisations/${org}/members/${person}`, { role: 'helpdesk', domains: [] })).status).toBe(200);
    expect((await admin.get('/session')).status).toBe(401);
    expect((await program.get(`/organisations/${org}/sites`)).status).toBe(401);
    await admin.post('/session', { email: 'adam@example.org', password: passphrase });
    const small = here.program((await owner.post(`/organisations/${org}/tokens`, { name: 'x', role: 'read-only', days: 1 })).body.token);
    expect((await admin.get(`/organisations/${org}`)).body.role).toBe('helpdesk');
    expect((await owner.delete(`/organisations/${org}/members/${person}`)).status).toBe(204);
    expect((await admin.get(`/organisations/${org}`)).status).toBe(404);
    expect((await small.get(`/organisations/${org}`)).status).toBe(200);
    here.world.time += 86_400_000;
    expect((await small.get(`/organisations/${org}`)).status).toBe(401);
  });
});

test('a body that is too large, no JSON, half a character or of another shape is refused in plain words', async () => {
  expect((await owner.patch('/me', { name: 'x'.repeat(limits.apiBody) })).status).toBe(413);
  expect((await owner.patch('/me', undefined, { raw: '{' })).status).toBe(400);
  expect((await owner.patch('/me', undefined, { raw: '['.repeat(60_000) })).status).toBe(400);
  expect((await owner.patch('/me', undefined, { raw: '{"name":"\\ud800"}' })).status).toBe(400);
  expect((await owner.patch('/me', { name: 'x', more: 1 })).body.errors).toEqual([{ path: 'body.more', message: 'is not known here' }]);
  expect((await owner.patch('/me', {})).body.errors).toEqual([{ path: 'body.name', message: 'is required' }]);
  expect((await owner.send('PUT', '/organisations')).status).toBe(405);
  expect((await owner.get('/organisations/%FF')).status).toBe(404);
});

test('who asks too often waits', async () => {
  for (let i = 0; i < limits.apiStrangersPerMinute; i++) await here.browser().get('/session', { headers: { 'X-Forwarded-For': '192.0.2.77' } });
  expect((await here.browser().get('/session', { headers: { 'X-Forwarded-For': '192.0.2.77' } })).status).toBe(429);
  expect((await here.browser().get('/session', { headers: { 'X-Forwarded-For': '192.0.2.78' } })).status).toBe(401);
  here.world.time += 60_000;
  expect((await here.browser().get('/session', { headers: { 'X-Forwarded-For': '192.0.2.77' } })).status).toBe(401);
});
