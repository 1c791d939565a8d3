// A first walk through a session: greeting, login, select, fetch, store, logout.

import { expect, test } from 'vitest';
import { deliver, house, message } from './house.ts';

test('thin path', async () => {
  const h = await house();
  const c = await h.dial().login();
  console.log(await c.say('LIST "" *'));
  console.log(await c.append('INBOX', message('one')));
  console.log(await c.say('SELECT INBOX'));
  console.log(await c.say('FETCH 1 (UID FLAGS RFC822.SIZE ENVELOPE BODYSTRUCTURE MODSEQ INTERNALDATE BODY.PEEK[HEADER.FIELDS (Subject)] BODY[TEXT])'));
  console.log(await c.say('STORE 1 +FLAGS (\\Flagged $Forwarded)'));
  console.log(await c.say('UID SEARCH RETURN (ALL COUNT) SUBJECT one TEXT hello'));
  c.write('i IDLE\r\n');
  await c.until(/^\+/m);
  await deliver(h, [message('two')]);
  console.log(await c.until(/RECENT/));
  c.write('DONE\r\n');
  console.log(await c.until(/^i OK/m));
  console.log(await c.say('COPY 1:2 Archive'));
  console.log(await c.say('MOVE 2 Trash'));
  console.log(await c.say('STORE 1 +FLAGS.SILENT \\Deleted'));
  console.log(await c.say('EXPUNGE'));
  console.log(await c.say('LIST "" % RETURN (STATUS (MESSAGES UNSEEN SIZE))'));
  console.log(await c.say('LOGOUT'));
  expect(h.crashed).toEqual([]);
});
