// What is wrong with a policy text that a domain publishes: DKIM keys, DMARC, MTA-STS, TLS-RPT. Pure; one line, or null.

/** The tags of `a=1; b=2`, or null where it is not of that form (RFC 6376 §3.2). The first of two equal names counts. */
function tagsOf(text: string): Map<string, string> | null {
  const tags = new Map<string, string>();
  for (const part of text.split(';')) {
    if (part.trim() === '') continue;
    const cut = part.indexOf('=');
    if (cut < 0) return null;
    const name = part.slice(0, cut).trim();
    if (!tags.has(name)) tags.set(name, part.slice(cut + 1).trim());
  }
  return tags;
}

export type Policy = { readonly kind: 'none' } | { readonly kind: 'several' } | { readonly kind: 'one'; readonly text: string };

/** The one text of that form among the texts of a name. */
export function onePolicy(texts: readonly string[], form: RegExp): Policy {
  const [text, second] = texts.filter((each) => form.test(each));
  if (text === undefined) return { kind: 'none' };
  return second === undefined ? { kind: 'one', text } : { kind: 'several' };
}

const shortly = (text: string): string => JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text);

/** RFC 6376 §3.6.1. `wanted`: the record as it should be. */
export function keyFault(found: readonly string[], wanted: string): string | null {
  if (found.length > 1) return 'there are several records at this name: verifiers take any of them';
  const text = found[0] ?? '';
  const [is, should] = [tagsOf(text), tagsOf(wanted)];
  const key = should?.get('p') ?? '';
  if (is === null || !is.has('p')) return `it is no DKIM key: ${shortly(text)}`;
  if (is.has('v') && (is.get('v') !== 'DKIM1' || !/^\s*v\s*=/.test(text))) return 'v=DKIM1 must stand first';
  if ((is.get('k') ?? 'rsa').toLowerCase() !== should?.get('k')) return `it is a key for ${is.get('k') ?? 'rsa'}, not for ${should?.get('k')}`;
  const has = (is.get('p') ?? '').replace(/\s+/g, '');
  if (has === '') return 'its p= is empty: the key is revoked';
  if (has !== key)
    return key.startsWith(has)
      ? `the key is cut off: ${has.length} of ${key.length} characters; a long one goes into several strings`
      : /["\\]/.test(has)
        ? 'there are quotes or backslashes inside the key'
        : 'it is another key';
  if (/(^|:)\s*y\s*(:|$)/i.test(is.get('t') ?? '')) return 't=y says that it is a test: verifiers may look away';
  if (is.has('h') && !/(^|:)\s*sha256\s*(:|$)/i.test(is.get('h') ?? '')) return 'h= does not allow sha256';
  return is.has('s') && !/(^|:)\s*(\*|email)\s*(:|$)/i.test(is.get('s') ?? '') ? 's= does not allow email' : null;
}

/** RFC 7489 §6.3, RFC 9989 §4.7. */
export function dmarcFault(text: string): string | null {
  const tags = tagsOf(text);
  if (tags === null) return `it is not of the form tag=value; tag=value: ${shortly(text)}`;
  const policy = tags.get('p');
  if (policy === undefined) return 'it has no p=';
  if (!/^(none|quarantine|reject)$/i.test(policy)) return `p=${shortly(policy)} is no policy: none, quarantine or reject`;
  for (const name of ['sp', 'np'])
    if (tags.has(name) && !/^(none|quarantine|reject)$/i.test(tags.get(name) ?? '')) return `${name}= is no policy: none, quarantine or reject`;
  for (const name of ['rua', 'ruf']) if (tags.has(name) && !uris(tags.get(name) ?? '', /^mailto:[^@\s]+@[^@\s]+$/i)) return `${name}= takes mailto: addresses`;
  return null;
}

const uris = (text: string, form: RegExp): boolean => text.split(',').every((uri) => form.test(uri.trim()));

/** RFC 8460 §3. */
export function tlsrptFault(text: string): string | null {
  const rua = tagsOf(text)?.get('rua');
  if (rua === undefined) return 'it has no rua=, the address for reports';
  return uris(rua, /^(mailto:[^@\s]+@[^@\s]+|https:\/\/\S+)$/i) ? null : 'rua= takes mailto: or https: addresses';
}

/** RFC 8461 §3.1. */
export function stsFault(text: string): string | null {
  return /^[a-z0-9]{1,32}$/i.test(tagsOf(text)?.get('id') ?? '') ? null : 'id= takes 1 to 32 letters and digits';
}
