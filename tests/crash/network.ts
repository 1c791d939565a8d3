// An address of its own in the network of the test, which is there or is not: a cable that is pulled and put back. What is on
// its way then is neither lost nor ended: the kernel sends it again when the address is back.

export interface Address {
  readonly ip: string;
  cut(): void;
  mend(): void;
}

/** It is there from now on. `ip`: IPv4. */
export function addressOf(ip: string): Address {
  const run = (verb: 'add' | 'del'): void => {
    const done = Bun.spawnSync(['ip', 'addr', verb, `${ip}/32`, 'dev', 'lo'], { stderr: 'pipe' });
    if (done.exitCode !== 0) throw new Error(`ip addr ${verb} ${ip}: ${done.stderr.toString()}`);
  };
  run('add');
  return { ip, cut: () => run('del'), mend: () => run('add') };
}
