// The IMAP dialogs of tests/dialogs against the real executable, over TLS, each as an account of its own.

import { readdirSync, readFileSync } from 'node:fs';
import { connect } from 'node:tls';
import { afterAll, beforeAll, describe, test } from 'vitest';
import { type Peer, runDialog } from '../dialogs/run.ts';
import { password, type Site, sampleDocument, startSite } from './site.ts';

const folder = new URL('../dialogs/imap/', import.meta.url).pathname;
const dialogs = readdirSync(folder).filter((name) => name.endsWith('.txt'));

/** One TLS connection as a dialog wants it. */
function dial(host: string, port: number): Promise<Peer> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, rejectUnauthorized: false });
    const received: Buffer[] = [];
    let ended = false;
    let wake: (() => void) | null = null;
    const ring = (): void => {
      wake?.();
      wake = null;
    };
    socket.on('data', (bytes: Buffer) => {
      received.push(bytes);
      ring();
    });
    socket.on('close', () => {
      ended = true;
      ring();
    });
    socket.once('error', reject);
    socket.once('secureConnect', () =>
      resolve({
        write: (bytes) => void socket.write(bytes),
        async read() {
          while (received.length === 0 && !ended) await new Promise<void>((done) => void (wake = done));
          return received.shift() ?? null;
        },
        close: () => void socket.destroy(),
      }),
    );
  });
}

describe('IMAP dialogs with the executable', () => {
  let site: Site;
  beforeAll(async () => {
    site = await startSite({ document: sampleDocument(dialogs.map((name) => name.slice(0, -4))) });
  });
  afterAll(() => site?.finish());

  for (const name of dialogs) {
    test(name.slice(0, -4), () =>
      runDialog(name, readFileSync(folder + name, 'utf8'), {
        user: `${name.slice(0, -4)}@example.test`,
        password,
        dial: () => dial(site.address, site.port('imaps')),
      }),
    );
  }
});
