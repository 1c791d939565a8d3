// How a request fails (RFC 9457): what is wrong and what to do, in plain words. Guarantees: what is not there and what is
// somebody else's answer the same.

export interface FieldError {
  /** `accounts[3].address`, `body.name`; empty for the whole. */
  readonly path: string;
  readonly message: string;
}

/** Thrown by a handler: nothing was changed. `more`: further members of the answer. */
export class Problem extends Error {
  readonly status: number;
  readonly type: string;
  readonly title: string;
  readonly errors: readonly FieldError[];
  readonly more: Readonly<Record<string, unknown>>;
  readonly headers: Readonly<Record<string, string>>;
  constructor(
    status: number,
    type: string,
    title: string,
    detail: string,
    {
      errors = [],
      more = {},
      headers = {},
    }: { errors?: readonly FieldError[]; more?: Readonly<Record<string, unknown>>; headers?: Readonly<Record<string, string>> } = {},
  ) {
    super(detail);
    this.status = status;
    this.type = type;
    this.title = title;
    this.errors = errors;
    this.more = more;
    this.headers = headers;
  }
}

export const notFound = (): Problem =>
  new Problem(404, 'not-found', 'Not found', 'There is no such thing, or it is not yours: go back to the list and choose from what is there.');
export const forbidden = (detail: string): Problem => new Problem(403, 'forbidden', 'Not allowed', detail);
export const conflict = (detail: string): Problem => new Problem(409, 'conflict', 'Not possible now', detail);
export const signInFirst = (): Problem =>
  new Problem(401, 'sign-in', 'Sign in first', 'There is no session, or it has ended: sign in, or send a token as Authorization: Bearer mst_….', {
    headers: { 'WWW-Authenticate': 'Bearer realm="mailsite"' },
  });
export const proveAgain = (): Problem =>
  new Problem(403, 'prove-again', 'Prove who you are', 'This changes how you sign in: give your password again with PUT /api/v1/session, then repeat it.');
export const invalid = (errors: readonly FieldError[], detail = 'Some of what was sent is not right: see errors, correct it, and send it again.'): Problem =>
  new Problem(422, 'invalid', 'Not valid', detail, { errors });
export const badRequest = (detail: string): Problem => new Problem(400, 'bad-request', 'Not understood', detail);
export const throttled = (seconds: number, detail: string): Problem =>
  new Problem(429, 'too-many', 'Too many tries', detail, { headers: { 'Retry-After': String(seconds) } });
export const unavailable = (type: string, detail: string): Problem => new Problem(503, type, 'Not available now', detail, { headers: { 'Retry-After': '5' } });

export function problemResponse(problem: Problem): Response {
  const { status, type, title, message: detail, errors, more, headers } = problem;
  const body = { type: `urn:mailsite:problem:${type}`, title, status, detail, ...(errors.length > 0 ? { errors } : {}), ...more };
  return new Response(JSON.stringify(body), { status, headers: { 'Content-Type': 'application/problem+json', ...headers } });
}
