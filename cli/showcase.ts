// The portal of the demo: a second supervisor beside the site, which joins it over the real uplink, with an owner who comes
// in by a link. It ends with the demo; with --data it is the same portal again the next time.

import type { World } from '../actors/world.ts';
import { seedFrom } from '../uplink/keys.ts';
import { Failure } from './output.ts';
import { ownCommand } from './run.ts';

export const portalPort = 8025;
/** In the data folder of the demo. */
const folder = 'portal';

export interface Showcase {
  /** The program of the portal runs from here on. */
  readonly pid: number;
  /** Once the site runs: makes owner and site where there are none, and returns a link that signs in once. */
  ready(data: string): Promise<string>;
}

/** Starts the portal in the current directory. `output`: where its log goes. */
export function showcase(world: World, address: string, port: number, output: number): Showcase {
  const listen = `${address.includes(':') ? `[${address}]` : address}:${port}`;
  const url = `http://${listen}`;
  const argv = [...ownCommand(), 'portal', '--data', folder, '--listen', listen, '--demo'];
  const child = Bun.spawn(argv, { stdin: 'ignore', stdout: output, stderr: output });
  return {
    pid: child.pid,
    async ready(data) {
      await answers(world, url, () => child.exitCode !== null);
      const first = await linkOf();
      if (first.for === null) await found(world, url, first.link, data);
      return (await linkOf()).link;
    },
  };
}

async function answers(world: World, url: string, ended: () => boolean): Promise<void> {
  for (let tries = 0; tries < 200 && !ended(); tries++) {
    const there = await fetch(`${url}/api/v1/session`).then(
      () => true,
      () => false,
    );
    if (there) return;
    await world.sleep(50);
  }
  throw new Failure('the portal of the demo does not start: its log tells why');
}

/** Runs a verb of this program to its end; its JSON. This process is a supervisor meanwhile, so it must not wait idly. */
async function verb(...argv: string[]): Promise<Record<string, unknown>> {
  const done = Bun.spawn([...ownCommand(), ...argv, '--json'], { stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' });
  const [out, error] = await Promise.all([new Response(done.stdout).text(), new Response(done.stderr).text()]);
  if ((await done.exited) !== 0) throw new Failure(error.trim().replace(/^mailsite: /, ''));
  return JSON.parse(out) as Record<string, unknown>;
}

const linkOf = async () => (await verb('portal', 'link', '--data', folder)) as { link: string; for: string | null };

/** The first owner, a site, and this machine as that site: its configuration becomes the portal's. */
async function found(world: World, url: string, link: string, data: string): Promise<void> {
  const headers = { 'content-type': 'application/json', origin: url, 'x-mailsite': '1' };
  const post = async (path: string, body: object, cookie = ''): Promise<{ cookie: string; answer: Founded }> => {
    const response = await fetch(`${url}/api/v1${path}`, { method: 'POST', headers: { ...headers, cookie }, body: JSON.stringify(body) });
    if (!response.ok) throw new Failure(`the portal of the demo refuses ${path}: ${await response.text()}`);
    return { cookie: response.headers.get('set-cookie')?.split(';')[0] ?? '', answer: (await response.json()) as Founded };
  };
  const person = { name: 'Demo Owner', email: 'owner@example.test', password: seedFrom(world.random) };
  const { cookie, answer } = await post('/setup', { token: link.split('#')[1], organisation: 'Example', ...person });
  const made = await post(`/organisations/${answer.organisations?.[0]?.id}/sites`, { name: 'Demo site' }, cookie);
  await verb('join', made.answer.claim?.text ?? '', '--data', data);
}
interface Founded {
  readonly organisations?: readonly { readonly id: string }[];
  readonly claim?: { readonly text: string };
}
