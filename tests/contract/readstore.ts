// A process with an LSM engine in the folder argv[2], for the tests of reading from another one. It serves reads at
// `read.sock` there, and takes commits as lines of JSON on stdin: [[key, value or null]…] in base64. It says `done` to each.

import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { realWorld } from '../../actors/platform.ts';
import { openLsm } from '../../storage/engines/lsm.ts';
import { serveReads } from '../../storage/engines/readserver.ts';

const folder = process.argv[2] as string;
const engine = await openLsm(join(folder, 'mail.lsm'));
serveReads(
  realWorld(() => {}),
  join(folder, 'read.sock'),
  engine,
);
console.log('done');
const octets = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'base64'));
for await (const line of createInterface({ input: process.stdin })) {
  const writes = JSON.parse(line) as [string, string | null][];
  await engine.commit(writes.map(([key, value]) => [octets(key), value === null ? null : octets(value)] as const));
  console.log('done');
}
