// The names of domains for people: what Node and Bun make of a name reads back as the same.

import { domainToASCII } from 'node:url';
import { expect, test } from 'vitest';
import { addressText, domainText } from '../../../uplink/ui/idn.ts';

test.each(['müller.example', 'bücher.beispiel.example', '例え.example', 'ěščřž.example', 'пример.рф', 'a-ß.example', 'ملف.example', 'plain.example'])(
  '%s is shown as its people write it',
  (name) => {
    const kept = domainToASCII(name);
    expect(domainText(kept)).toBe(name);
    expect(addressText(`info@${kept}`)).toBe(`info@${name}`);
  },
);

test.each(['xn--', 'xn--a', 'xn--99999999.example', 'xn---.example', 'xn--mller-kva-.example', 'example.org', 'xn--abc-.example'])(
  '%s stays as it is kept',
  (name) => expect(domainText(name)).toBe(name),
);
