// A built executable that serves a data folder on loopback ports, until it is killed as everything here ends.

import { connect, createServer } from 'node:net';

export interface Serving {
  readonly offset: number;
  /** kill -9; its children end with it. */
  kill(): Promise<void>;
}

export async function serve(executable: string, data: string): Promise<Serving> {
  const offset = await freeOffset();
  const child = Bun.spawn([executable, 'run', '--data', data, '--listen', '127.0.0.1', '--port-offset', String(offset)], { stdout: 'ignore', stderr: 'pipe' });
  for (let tries = 0; !(await greets(offset + 143)); tries++) {
    if (child.exitCode === null && tries < 200) {
      await Bun.sleep(50);
      continue;
    }
    child.kill('SIGKILL');
    throw new Error(`${executable} does not serve ${data}: ${await new Response(child.stderr).text()}`);
  }
  return {
    offset,
    async kill() {
      child.kill('SIGKILL');
      await child.exited;
      for (let tries = 0; tries < 200 && !(await free(offset + 993)); tries++) await Bun.sleep(20);
    },
  };
}

/** Runs a verb to its end. */
export function verb(executable: string, argv: readonly string[], stdin?: string): { code: number; out: string; errors: string } {
  const done = Bun.spawnSync([executable, ...argv], { stdin: stdin === undefined ? 'ignore' : Buffer.from(stdin), timeout: 60_000 });
  return { code: done.exitCode, out: done.stdout.toString(), errors: done.stderr.toString() };
}

/** Does it say its first word? */
function greets(port: number): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect({ host: '127.0.0.1', port });
    const end = (answer: boolean): void => {
      socket.destroy();
      done(answer);
    };
    socket.setTimeout(500, () => end(false));
    socket.on('error', () => end(false));
    socket.on('data', (octets) => end(octets.toString('latin1').startsWith('* OK')));
  });
}

async function freeOffset(): Promise<number> {
  for (let tries = 0; tries < 100; tries++) {
    const offset = 30_000 + Math.floor(Math.random() * 20_000);
    if ((await Promise.all([25, 587, 465, 143, 993].map((port) => free(offset + port)))).every(Boolean)) return offset;
  }
  throw new Error('no free ports');
}

function free(port: number): Promise<boolean> {
  return new Promise((done) => {
    const server = createServer();
    server.once('error', () => done(false));
    server.listen(port, '127.0.0.1', () => server.close(() => done(true)));
  });
}
