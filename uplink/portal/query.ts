// A live question to a site: nothing of the answer is kept here.

import { newId } from './identity/secret.ts';
import type { Portal } from './process.ts';

/** The site did not answer, or said no. `offline`: nobody has its session. */
export class QueryFailed extends Error {
  readonly offline: boolean;
  constructor(message: string, offline: boolean) {
    super(message);
    this.offline = offline;
  }
}

export async function query(
  { world, records }: Portal,
  site: string,
  name: string,
  args: Readonly<Record<string, unknown>>,
  timeoutMs: number,
): Promise<unknown> {
  const id = newId(world);
  return new Promise((resolve, reject) => {
    const end = records.hear(`answer/${id}`, (payload) => {
      timer.cancel();
      end();
      const answer = JSON.parse(payload) as { readonly ok: boolean; readonly value: unknown };
      if (answer.ok) resolve(answer.value);
      else reject(new QueryFailed(String(answer.value), false));
    });
    const timer = world.after(timeoutMs, () => {
      end();
      reject(new QueryFailed('the site does not answer', true));
    });
    records.publish(`query/${site}`, JSON.stringify({ query: id, name, args, timeoutMs })).catch((error: unknown) => {
      timer.cancel();
      end();
      reject(error);
    });
  });
}
