// The text of a claim: what a person gives to a machine so that it becomes a site of this portal.

export interface Claim {
  /** Scheme, host and port of the portal, without a slash at the end. */
  readonly portal: string;
  readonly claim: string;
  /** 32 octets in base64url. */
  readonly secret: string;
}

/** `ms1.<portal>.<claim>.<secret>`; a portal by https is named without its scheme. */
export const claimText = (portal: string, claim: string, secret: string): string => `ms1.${portal.replace(/^https:\/\//, '')}.${claim}.${secret}`;

/** Where the code that a machine shows is typed in, or is there already. */
export const devicePage = (portal: string, code: string): string => `${portal}/device?code=${code}`;

const form = /^ms1\.((?:http:\/\/)?[a-zA-Z0-9.:[\]-]+)\.([A-Za-z0-9_-]{1,100})\.([A-Za-z0-9_-]{43})$/;

/** Null: this is no claim. */
export function parseClaim(text: string): Claim | null {
  const [, portal = '', claim = '', secret = ''] = form.exec(text.trim()) ?? [];
  if (portal === '') return null;
  return { portal: portal.startsWith('http://') ? portal : `https://${portal}`, claim, secret };
}
