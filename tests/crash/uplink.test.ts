// The uplink on the real executable: kill -9 of the portal and of the site at random moments while documents and commands
// are under way, and the network cut at each step of enrolment, document and command. Whatever was cut off, in the end every
// rev that is wanted is in force, every command was done once or is said not to have been, and no event is missing.

import { expect, test } from 'vitest';
import { engineOptions, isolated } from '../clients/site.ts';
import { rng } from '../bench/lib/util.ts';
import { executable, temporary } from '../unit/cli/program.ts';
import { documentWith, freePort, Pair, sleep, until } from '../unit/uplink/pair.ts';
import { addressOf } from './network.ts';

const kills = Number(process.env['MAILSITE_KILLS'] ?? 25);
const seed = Number(process.env['MAILSITE_SEED'] ?? Date.now() % 1_000_000);

async function whole(pair: Pair): Promise<void> {
  for (const { code, out, errors } of await pair.finish()) expect(code, out + errors.join()).toBe(0);
}

/** Nothing is under way any more, and nothing was done twice. */
async function settled(pair: Pair, commands: ReadonlyMap<string, string>): Promise<void> {
  await until(
    'what is wanted is in force',
    async () => {
      const { wantedRev, appliedRev, online } = await pair.siteRecord();
      return online && wantedRev === appliedRev;
    },
    120_000,
  );
  for (const id of commands.values()) await until(`command ${id} has ended`, async () => (await pair.commandRecord(id)).endedAt !== null, 120_000);
  await until('all events are told', async () => pair.status().unshipped === 0, 60_000);
  const events = await pair.events();
  expect(events.map((event) => event.seq)).toEqual(events.map((_, i) => i + 1));
  const texts = events.filter(({ name }) => name === 'uplink.test').map(({ body }) => body);
  expect(texts, 'no command was done twice').toEqual([...new Set(texts)]);
  for (const [text, id] of commands) {
    const times = events.filter((event) => event.name === 'uplink.test' && event.body.includes(`"${text}"`)).length;
    const { state } = await pair.commandRecord(id);
    expect([text, state, times]).toEqual([text, state, state === 'done' ? 1 : 0]);
  }
}

/** Each try is another command: of one whose answer was lost nobody can tell whether it was given. */
async function given(pair: Pair, text: string, commands: Map<string, string>): Promise<void> {
  let tries = 0;
  const id = await until('a command is given', () => pair.command('uplink.test', { text: `${text}, try ${++tries}` }));
  commands.set(`${text}, try ${tries}`, id);
}

test(`U2: kill -9 of portal and site, seed ${seed}`, async () => {
  const random = rng(seed);
  const pair = new Pair(temporary(), { address: '127.0.0.1', portalPort: await freePort(), offset: 30_000 });
  const commands = new Map<string, string>();
  try {
    pair.startPortal();
    const claim = await pair.claim('c1');
    await until('the site has joined', async () => pair.join(claim).code === 0);
    pair.startSite();
    await until('it is online', async () => (await pair.siteRecord()).online);
    for (let n = 0; n < kills; n++) {
      const text = `command ${n}`;
      const doing = [until('a rev is wanted', () => pair.want(documentWith(1 + (n % 5)))), given(pair, text, commands)];
      await sleep(Math.floor(random() * 400));
      if (random() < 0.5) {
        await pair.killPortal();
        pair.startPortal();
      } else {
        await pair.killSite();
        pair.startSite();
      }
      await Promise.all(doing);
      if (random() < 0.3) await sleep(2_000);
    }
    await settled(pair, commands);
  } finally {
    await whole(pair);
  }
});

test.skipIf(!isolated)('U1 U2: the network is cut at each step', async () => {
  const net = addressOf('10.77.0.1');
  const pair = new Pair(temporary(), { address: net.ip, portalPort: 8025, offset: 0 });
  const commands = new Map<string, string>();
  try {
    pair.startPortal();
    const claim = await pair.claim('c1');
    for (const ms of [100, 150, 200, 250, 300]) {
      const joining = Bun.spawn([executable, 'join', claim, '--data', pair.siteData, ...engineOptions], { stdio: ['ignore', 'ignore', 'ignore'] });
      await sleep(ms);
      net.cut();
      await joining.exited; // whatever it says
      net.mend();
    }
    expect(pair.join(claim).code).toBe(0);
    expect((await pair.siteRecord()).epoch).toBe(1);
    pair.startSite();
    await until('it is online', async () => (await pair.siteRecord()).online);
    for (const [n, ms] of [0, 1, 2, 4, 8, 16, 32, 64, 128].entries()) {
      const text = `cut after ${ms}`;
      await pair.want(documentWith(1 + n));
      commands.set(text, await pair.command('uplink.test', { text }));
      await sleep(ms);
      net.cut();
      await sleep(500);
      net.mend();
      await settled(pair, commands);
    }
    net.cut();
    await until('the site knows that it is alone', async () => pair.status().state === 'offline', 120_000);
    const text = 'while it was away';
    commands.set(text, await pair.command('uplink.test', { text }));
    const rev = await pair.want(documentWith(3));
    expect(pair.status().runningRev).toBeLessThan(rev);
    net.mend();
    await settled(pair, commands);
  } finally {
    await whole(pair);
  }
});
