// Names of domains as their people write them. Guarantees: what cannot be read as such, or would read back as another name, is
// shown as it is kept; records and addresses of machines are not touched.

/** `xn--mller-kva.example` as `müller.example` (RFC 5891 §5.4). */
export const domainText = (domain: string): string =>
  domain
    .split('.')
    .map((label) => (/^xn--[a-z0-9-]+$/i.test(label) ? (unicodeOf(label) ?? label) : label))
    .join('.');
/** The same of an address. */
export const addressText = (address: string): string => {
  const at = address.lastIndexOf('@') + 1;
  return address.slice(0, at) + domainText(address.slice(at));
};

function unicodeOf(label: string): string | null {
  const text = decoded(label.slice(4).toLowerCase());
  if (text === null || !/^[\p{L}\p{M}\p{N}-]+$/u.test(text)) return null;
  try {
    return new URL(`http://${text}/`).hostname === label.toLowerCase() ? text : null;
  } catch {
    return null;
  }
}

/** RFC 3492 §6.2, with the parameters of §5. Null: not that. */
function decoded(input: string): string | null {
  const cut = input.lastIndexOf('-');
  const points = [...input.slice(0, Math.max(cut, 0))].map((c) => c.codePointAt(0) as number);
  let [n, i, bias] = [128, 0, 72];
  for (let at = cut + 1; at < input.length; ) {
    const before = i;
    for (let [weight, k] = [1, 36]; ; k += 36) {
      const digit = 'abcdefghijklmnopqrstuvwxyz0123456789'.indexOf(input[at++] ?? '?');
      if (digit < 0) return null;
      i += digit * weight;
      const threshold = Math.min(26, Math.max(1, k - bias));
      if (digit < threshold) break;
      weight *= 36 - threshold;
      if (i > 0x7fff_ffff || weight > 0x7fff_ffff) return null;
    }
    const size = points.length + 1;
    bias = adapted(i - before, size, before === 0);
    n += Math.floor(i / size);
    i %= size;
    if (n > 0x10_ffff || (n >= 0xd800 && n < 0xe000)) return null;
    points.splice(i++, 0, n);
  }
  return String.fromCodePoint(...points);
}
function adapted(delta: number, size: number, first: boolean): number {
  let left = first ? Math.floor(delta / 700) : delta >> 1;
  left += Math.floor(left / size);
  let k = 0;
  for (; left > 455; k += 36) left = Math.floor(left / 35);
  return k + Math.floor((36 * left) / (left + 38));
}
