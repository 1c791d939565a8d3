// A question to a site that is answered now or not at all, and of which nothing is kept: whichever process of the portal
// has the site's session passes it on.

import type { Portal } from './process.ts';
import { timeOrdered } from './command.ts';

/** The site did not answer, or said no. `offline`: nobody has its session. */
export class QueryFailed extends Error {
  readonly offline: boolean;
  constructor(message: string, offline: boolean) {
    super(message);
    this.offline = offline;
  }
}

export interface Asked {
  readonly query: string;
  readonly name: string;
  readonly args: Readonly<Record<string, unknown>>;
  readonly timeoutMs: number;
}
export interface Answered {
  readonly ok: boolean;
  readonly value: unknown;
}

/** Where a question to a site is said, and where its answer comes. */
export const askChannel = (site: string): string => `query/${site}`;
export const answerChannel = (query: string): string => `answer/${query}`;

/** Rejects with QueryFailed. Names are those of uplink/agent/queries.ts. */
export async function query(
  { world, records }: Pick<Portal, 'world' | 'records'>,
  site: string,
  name: string,
  args: Readonly<Record<string, unknown>>,
  timeoutMs: number,
): Promise<unknown> {
  const id = timeOrdered(world);
  let settle: (answer: Answered | null) => void = () => {};
  const answered = new Promise<Answered | null>((done) => {
    settle = done;
  });
  const unhear = records.hear(answerChannel(id), (payload) => settle(JSON.parse(payload) as Answered));
  const timer = world.after(timeoutMs, () => settle(null));
  try {
    const asked: Asked = { query: id, name, args, timeoutMs };
    await records.publish(askChannel(site), JSON.stringify(asked));
    const answer = await answered;
    if (answer === null) throw new QueryFailed('the site does not answer: it is offline, or busy', true);
    if (!answer.ok) throw new QueryFailed(String(answer.value), false);
    return answer.value;
  } finally {
    timer.cancel();
    unhear();
  }
}
