// Writes the corpus as an mbox with CRLF lines (for imaptest's mbox=): bun mbox.ts <count> <file> [seed]
import { Corpus, mix } from './lib/mime.ts';
const [n = '300', file = '/tmp/corpus.mbox', seed = '1'] = process.argv.slice(2),
  corpus = new Corpus(Number(seed)),
  out: Buffer[] = [];
mix(Number(n), Number(seed)).forEach((cls, i) => {
  if (cls === 3) return; // imaptest keeps its source in memory and re-parses it: leave the 2 MiB class out
  const m = corpus.make(i, cls, 1, 'user1@example.test', 'mbox');
  out.push(
    Buffer.from('From sender@sender.test  Thu Jan  1 00:00:00 2026\r\n'),
    m.head,
    Buffer.from(m.body.toString('latin1').replace(/(^|\r\n)From /g, '$1>From '), 'latin1'),
    Buffer.from('\r\n'),
  );
});
await Bun.write(file, Buffer.concat(out));
