// Threading keys (RFC 5256): message ids, references and the base subject. Guarantees: never throws, bounded results.

import { decodeHeader } from './header.ts';

const longest = 998;

/** The ids of a Message-ID, In-Reply-To or References value, without angle brackets, at most `limit`, the first ones. */
export function messageIds(value: string, limit: number): string[] {
  const out: string[] = [];
  for (const found of value.matchAll(/<([^<>]*)>/g)) {
    const id = (found[1] as string).replace(/[ \t\r\n]+/g, '');
    if (id !== '' && id.length <= longest && out.length < limit) out.push(id);
  }
  return out;
}

/** RFC 5256 §3 (REFERENCES, step 1): those of References, else the first one of In-Reply-To. The newest `limit`. */
export function referencesOf(references: string, inReplyTo: string, limit: number): string[] {
  const all = [...new Set(messageIds(references, 100_000))];
  return all.length > 0 ? all.slice(-limit) : messageIds(inReplyTo, 1);
}

/** A Message-ID for keys: a malformed one without brackets counts as it stands. */
export const messageIdOf = (value: string): string => messageIds(value, 1)[0] ?? value.replace(/[<> \t\r\n]+/g, '').slice(0, longest);

const leader = /\s+|(?:\[[^[\]]*\]\s*)*(?:re|fwd?)\s*(?:\[[^[\]]*\]\s*)?:/iy;
const blob = /\[[^[\]]*\]\s*/y;

/** RFC 5256 §2.1: what stays of a raw Subject value when reply and forward marks are gone. Case is kept. */
export function baseSubject(value: string): string {
  if (value === '') return '';
  // Step 1. A subject longer than this is cut, not judged.
  let text = decodeHeader(value.slice(0, 4_000)).replace(/\s+/g, ' ').slice(0, longest);
  for (;;) {
    text = withoutLeaders(withoutTrailers(text));
    // Step 6
    if (!/^\[fwd:.*\]$/is.test(text)) return text;
    text = text.slice(5, -1);
  }
}

/** Step 2. */
function withoutTrailers(text: string): string {
  let end = text.length;
  for (;;) {
    if (end > 0 && text[end - 1] === ' ') end--;
    else if (end >= 5 && text.slice(end - 5, end).toLowerCase() === '(fwd)') end -= 5;
    else return text.slice(0, end);
  }
}

/** Steps 3 to 5. */
function withoutLeaders(text: string): string {
  for (let at = 0; ; ) {
    leader.lastIndex = at;
    blob.lastIndex = at;
    if (leader.test(text)) at = leader.lastIndex;
    else if (blob.test(text) && blob.lastIndex < text.length) at = blob.lastIndex;
    else return text.slice(at);
  }
}
