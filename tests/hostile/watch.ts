// While strangers misbehave: a good session that must go on working, and the memory of the site, measured.

import { expect } from 'vitest';
import { Imap, Smtp } from '../bench/lib/conn.ts';
import { sleep } from '../clients/programs.ts';
import { memory, password, type Site } from '../clients/site.ts';

export class Watch {
  readonly failures: string[] = [];
  delivered = 0;
  slowestMs = 0;
  /** The test during which it was so slow. */
  slowest = '';
  peakMiB = 0;
  readonly baseMiB: number;
  private going = true;
  private before: number | undefined;
  private readonly site: Site;
  private readonly loops: Promise<void>[];

  constructor(site: Site) {
    this.site = site;
    this.baseMiB = memory(site.pids()).anonymous;
    this.loops = [this.deliveries(), this.memory()];
  }

  private async deliveries(): Promise<void> {
    for (; this.going; await sleep(100)) {
      const start = performance.now();
      const subject = `good-${this.delivered}`;
      try {
        await within(15_000, this.once(subject));
        this.delivered++;
        const ms = performance.now() - start;
        if (ms > this.slowestMs) this.slowest = expect.getState().currentTestName ?? '';
        this.slowestMs = Math.max(this.slowestMs, ms);
      } catch (error) {
        this.failures.push(`${subject}: ${String(error)}`);
      }
    }
  }

  private async once(subject: string): Promise<void> {
    const smtp = await Smtp.open(this.site.address, this.site.port('smtp'));
    try {
      const { code, text } = await smtp.send('x@elsewhere.test', 'good@example.test', Buffer.from(`Subject: ${subject}\r\n\r\n`), Buffer.from('x\r\n'));
      if (code !== 250) throw new Error(text);
    } finally {
      smtp.close();
    }
    const imap = await Imap.open(this.site.address, this.site.port('imaps'), true);
    try {
      await imap.login('good@example.test', password);
      await imap.must('SELECT INBOX');
      this.before ??= imap.exists - 1; // what earlier watches left
      if (imap.exists !== this.before + this.delivered + 1) throw new Error(`${imap.exists} messages, not ${this.before + this.delivered + 1}`);
    } finally {
      imap.close();
    }
  }

  private async memory(): Promise<void> {
    for (; this.going; await sleep(50)) this.peakMiB = Math.max(this.peakMiB, memory(this.site.pids()).anonymous);
  }

  async end(): Promise<void> {
    this.going = false;
    await Promise.all(this.loops);
  }
}

function within<T>(ms: number, work: Promise<T>): Promise<T> {
  work.catch(() => {});
  return Promise.race([work, sleep(ms).then(() => Promise.reject(new Error(`not within ${ms} ms`)))]);
}
