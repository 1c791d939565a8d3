// The one place where the web UI takes randomness from its browser: keys of requests, and passwords for people.

/** For one request and its repetitions. */
export const freshKey = (): string => {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((b) => b.toString(16).padStart(2, '0')).join('');
};

/** 20 letters and digits that are not mistaken for each other, in groups: 99 bits. */
export function strongPassword(): string {
  const letters = 'abcdefghjkmnpqrstuvwxyz23456789';
  const fair: number[] = [];
  while (fair.length < 20) for (const b of crypto.getRandomValues(new Uint8Array(32))) if (b < letters.length * 8 && fair.length < 20) fair.push(b); // each letter is as likely as the next
  return fair.map((b, i) => (i > 0 && i % 5 === 0 ? '-' : '') + letters[b % letters.length]).join('');
}
