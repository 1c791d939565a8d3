// The network between a site and its portal is cut at each step of parking and of launch: at each request, at each answer, at
// half of either, and the connections end, hang or come back; or the portal is killed there. What is parked is whole at each moment and goes on by itself;
// a launch goes on where it was, and there is one machine that takes the mail.
//
//   MAILSITE_CUTS=all tests/long.sh park     the long form: each step is cut in every way, not in one; or in the one named

import { expect, test, vi } from 'vitest';
import { must, sleep, tell, until } from '../clients/programs.ts';
import { executable, isolated } from '../clients/site.ts';
import { answerIn } from '../unit/cli/program.ts';
import { openData } from './data.ts';
import { claimBy, type Joined, kitFile, lettersIn, Machine, Town } from './hosts.ts';
import { Shelf } from './rebuilt.ts';
import { type Cut, type How, Relay } from './relay.ts';

const asked = process.env['MAILSITE_CUTS'] ?? '';
const everyWay = asked !== '';
const ways: readonly How[] = ['reset', 'gone', 'silent', 'killed'];
if (!['', 'all', ...ways].includes(asked)) throw new Error(`MAILSITE_CUTS is all or one of ${ways.join(', ')}, not ${asked}`);
vi.setConfig({ testTimeout: everyWay ? 3_600_000 : 600_000 });
const seed = Number(process.env['MAILSITE_SEED'] ?? Date.now() % 1_000_000);
const port = 28_160;
const hows = ways.filter((how) => asked === 'all' || asked === '' || asked === how);

/** In which ways a step is cut. */
function* cutsAt(at: number): Generator<Cut> {
  const turn = at + seed;
  if (!everyWay) return yield { at, half: (turn >> 2) % 2 === 1, how: hows[turn % hows.length] as How };
  for (const how of hows) for (const half of [false, true]) yield { at, half, how };
  // each time it takes until the site believes that nobody answers any more
  if (asked === 'all' && turn % 6 === 0) yield { at, half: turn % 4 === 0, how: 'mute' };
}
/** How long it may take until all is well again, ms. */
const within = ({ how }: Cut): number => (how === 'mute' ? 400_000 : 60_000);

/** Until there is no such step: an exchange that is cut at its first one, another at its second one … Returns at which steps. */
async function eachStep(what: string, exchange: (cut: Cut) => Promise<string | null>): Promise<Set<string>> {
  const began = performance.now();
  const fell = new Set<string>();
  let cuts = 0;
  for (let at = 1; ; at++) {
    for (const cut of cutsAt(at)) {
      const step = await exchange(cut);
      if (step === null) {
        tell(`  ${what}: ${cuts} times cut, ${Math.round((performance.now() - began) / 1_000)} s, at ${[...fell].join(', ')}`);
        return fell;
      }
      fell.add(step);
      cuts++;
    }
  }
}

const bothWays = (...asked: readonly string[]): Set<string> => new Set(asked.flatMap((name) => [`> ${name}`, `< ${name}`]));

const ofParking = (step: string): boolean => /^. (POST grant|GET list|\w+ (lineages|manifests|objects))/.test(step);

test.skipIf(!isolated).concurrent(`M1 U2: parking is cut at each step (MAILSITE_SEED=${seed})`, async () => {
  const town = new Town(port);
  const relay = new Relay('10.77.0.2', 8025, town);
  const machine = new Machine(1_000);
  const claim = await town.found();
  const kit = JSON.parse((await machine.cli('join', claimBy(relay.url, claim), '--json')).stdout).kit as string;
  const shelf = new Shelf(town.objects, kit);
  const taken: string[] = [];
  machine.start();
  const write = async (): Promise<void> => void taken.push(await until('a letter is taken', async () => (await machine.letter()) ?? undefined));
  await until('it runs what is wanted', async () => {
    const { wantedRev, runningRev } = await town.site();
    return wantedRev > 0 && wantedRev === runningRev;
  });
  await write();
  /** Commits: of what is there, and of what is listed. */
  const parked = async (): Promise<number> => Math.max(0, ...(await shelf.names()).map((name) => Number(name.slice(-16))));
  const newest = async (): Promise<number> => (await town.snapshots())[0]?.commit ?? 0;
  /** In the newest that was built up. */
  let last = new Set<string>();
  /** All that is listed is there, and comes to a whole site. `letters`: that are in the newest. */
  const isWhole = async (letters: readonly string[]): Promise<void> => {
    const listed = await town.snapshots();
    const { wrong } = await shelf.prove((reader) => {
      last = lettersIn(reader);
      return [];
    }, 3);
    expect(wrong).toEqual([]);
    const names = await shelf.names();
    expect(listed.map(({ name }) => name).filter((name) => !names.includes(name))).toEqual([]);
    expect(letters.filter((name) => !last.has(name))).toEqual([]);
  };
  /** One exchange. `anew`: the site has just been started, and looks at what is there. Returns where it was cut. */
  const one = async (cut: Cut, anew: boolean): Promise<string | null> => {
    let now = 0;
    do {
      await write();
      if (anew) await machine.unit.kill();
      now = await machine.commit();
    } while ((await parked()) >= now);
    const letters = [...taken];
    relay.watch(ofParking, cut);
    if (anew) machine.start();
    const command = anew ? null : await town.parkNow();
    await until('it is cut, or parked', async () => relay.fell !== null || (await parked()) >= now);
    await sleep(50); // the last answer is on its way
    const fell = relay.disarm();
    if (fell !== null) {
      await write(); // mail waits for none of it
      await sleep(100);
      if (cut.how === 'killed') await relay.mend(); // it is the portal that lists
      await isWhole([]);
      await relay.mend();
    }
    await until(`it goes on after ${JSON.stringify(cut)} ${fell}`, async () => (await parked()) >= now, within(cut));
    await town.until('it is listed', async () => (await newest()) >= now);
    await isWhole(letters);
    if (command !== null) {
      const ended = await town.until(
        'the command has ended',
        async () => {
          const found = await town.command(command);
          return found.endedAt !== null && found;
        },
        within(cut),
      );
      expect(ended.state, ended.value).toBe('done');
      expect(await newest()).toBeGreaterThanOrEqual(now);
    }
    return fell;
  };
  await town.until('it has parked', async () => (await town.snapshots()).length > 0);
  const on = await eachStep('parking on', (cut) => one(cut, false));
  const anew = await eachStep('parking after a start', (cut) => one(cut, true));
  const steps = ['POST grant challenge', 'POST grant', 'GET list manifests', 'GET manifests', 'GET lineages', 'GET objects', 'HEAD objects', 'PUT objects'];
  expect(new Set([...on, ...anew])).toEqual(bothWays(...steps, 'PUT manifests'));
  const { stdout } = await must([executable, 'snapshot', 'verify', '--deep', '--from', town.objects, '--key', kitFile(kit), '--json']);
  expect(answerIn(stdout)).toMatchObject({ ok: true, proof: 'restored', withKey: true });
  await machine.end();
  await town.end();
  relay.close();
});

const ofJoining = (step: string): boolean => /^. (POST|GET)/.test(step);
const ofBegin = (step: string): boolean => /^. (GET uplink|frame (challenge|auth|welcome|ready))/.test(step);
const ofFence = (step: string): boolean => step === '< frame verdict';

test.skipIf(!isolated).concurrent(`U3: launch is cut at each step (MAILSITE_SEED=${seed})`, async () => {
  const town = new Town(port + 1);
  const relays = [new Relay('10.77.0.3', 8025, town), new Relay('10.77.0.4', 8025, town)] as const;
  const claim = await town.found();
  let old = new Machine(3_000);
  const kit = kitFile(JSON.parse((await old.cli('join', claimBy(relays[0].url, claim), '--json')).stdout).kit);
  old.start();
  let epoch = 1;
  const ends: Promise<void>[] = [];
  const taken: string[] = [];
  const takes = (machine: Machine): Promise<string> => until('a letter is taken', async () => (await machine.letter()) ?? undefined);

  /** The next launch: a claim, of a snapshot which holds all that was taken. */
  const next = async () => {
    taken.push(await takes(old));
    const now = await old.commit();
    await town.until('it is online', async () => (await town.site()).state === 'online');
    await town.parkNow();
    const snapshot = await town.until('it is parked', async () => {
      const [found] = await town.snapshots();
      return found?.epoch === epoch && found.commit >= now && found;
    });
    const [, relay] = epoch % 2 === 1 ? relays : [...relays].reverse();
    const fresh = new Machine(old.offset === 3_000 ? 4_000 : 3_000);
    return { fresh, relay: relay as Relay, claim: claimBy((relay as Relay).url, await town.launch(snapshot)) };
  };
  /** What is there is no site yet: it does not begin, or takes no mail. */
  const servesNothing = async (fresh: Machine): Promise<void> => {
    fresh.start();
    await until('it ends, or greets', async () => fresh.unit.ended || (await fresh.greets()) !== '');
    expect(await fresh.letter()).toBe(null);
    expect(fresh.unit.ended || (await fresh.greets()).startsWith('421'), fresh.unit.said()).toBe(true);
    await fresh.unit.kill();
  };
  /** `fresh` has taken over: it is the only one that takes mail, and has all that was parked. */
  const isTheOne = async (fresh: Machine): Promise<void> => {
    await until('the old one is fenced', async () => (await old.greets()).startsWith('421'), 60_000);
    expect(await old.letter()).toBe(null);
    const late = await takes(fresh);
    const view = await openData(fresh.data, true);
    const there = lettersIn(view);
    await view.close();
    expect(taken.filter((name) => !there.has(name))).toEqual([]);
    taken.push(late);
    const end = old.end();
    end.catch(() => {}); // it is told in the end
    ends.push(end);
    old = fresh;
    epoch++;
  };
  const one = async (cut: Cut): Promise<string | null> => {
    const { fresh, relay, claim } = await next();
    let joined: Joined | null = null;
    relay.watch((step) => (joined === null ? ofJoining : ofBegin)(step), cut);
    let joining = fresh.join(claim, '--key', kit, '--json');
    void joining.ended.then((done) => (joined = done));
    await until('it is cut, or has joined', () => relay.fell !== null || joined !== null);
    let fell = relay.fell;
    if (fell !== null) {
      const over = (): boolean => town.unit.said().includes(`"epoch":${epoch + 1}`);
      // until it is over the old one goes on; then it does not, though the new one has not heard of it
      // (a portal that is killed may have told it or not)
      if (cut.how !== 'killed' && over()) await until('the old one is fenced', async () => (await old.greets()).startsWith('421'));
      else if (cut.how !== 'killed') expect(await old.letter()).not.toBe(null);
      // also the machine may be switched off
      if (((cut.at >> 1) + seed) % 2 === 0) {
        await joining.kill();
        if (!fell.endsWith('POST enroll')) await servesNothing(fresh);
      } else await sleep(200);
      await relay.mend();
      for (let tries = 0; ; tries++) {
        const { code, errors } = await joining.ended;
        if (code === 0) break;
        if (code === 1) expect(errors).toMatch(/^[^\n]+(again|next try)[^\n]*\n$/);
        expect(tries).toBeLessThan(2);
        joining = fresh.join(claim, '--key', kit, '--json');
      }
    }
    const { code, out, errors } = await joining.ended;
    expect(code, errors).toBe(0);
    expect(answerIn(out)).toMatchObject({ ok: true, launched: true, epoch: epoch + 1 });
    fresh.start();
    await takes(fresh);
    await town.until('it is cut, or online', async () => (fell === null && relay.fell !== null) || (await town.site()).state === 'online', within(cut));
    if (fell === null && relay.disarm() !== null) {
      fell = relay.fell;
      await takes(fresh);
      await sleep(200);
      await relay.mend();
    }
    relay.disarm();
    await town.until('the new machine is the site', async () => (await town.site()).state === 'online', within(cut));
    await isTheOne(fresh);
    return fell;
  };
  const fell = await eachStep('launch', one);
  const steps = ['POST enroll', 'POST grant challenge', 'POST grant', 'GET manifests', 'GET lineages', 'GET objects', 'POST activate', 'GET uplink'];
  for (const step of bothWays(...steps)) expect(fell).toContain(step);
  // frames may come together: which one is the first of its octets is another each time
  expect([...fell].filter((step) => step.includes('frame'))).not.toEqual([]);

  // the old one does not hear that it is over: it goes on, and hears it when it may
  for (const how of hows) {
    const { fresh, claim } = await next();
    const before = relays[(epoch + 1) % 2] as Relay;
    before.watch(ofFence, { at: 1, half: how === 'gone', how });
    expect((await fresh.join(claim, '--key', kit).ended).code).toBe(0);
    fresh.start();
    await takes(fresh);
    await until('the old one is cut off', () => before.disarm() !== null);
    expect(await old.letter()).not.toBe(null);
    await before.mend();
    await isTheOne(fresh);
  }
  await Promise.all([...ends, old.end()]);
  await town.end();
  for (const relay of relays) relay.close();
});
