// The types of the API for a client, made from the rows that serve it. Guarantees: nothing of the portal is imported at run
// time, so that a web page may use it.

import type { z } from 'zod';
import type { Params, Route } from './route.ts';
import type { Rows } from './table.ts';

type Row = Rows[number];
type Of<R extends Route> =
  R extends Route<infer _M, infer P, infer Q, infer B, infer A>
    ? { readonly params: Params<P>; readonly query: z.input<Q>; readonly body: z.input<B>; readonly answer: z.output<A> }
    : never;

/** `'GET /organisations/{org}/sites'` → what it takes and gives. */
export type Api = { readonly [R in Row as `${R['method']} ${R['path']}`]: Of<R> };
export type Endpoint = keyof Api;
export type ParamsOf<E extends Endpoint> = Api[E]['params'];
export type QueryOf<E extends Endpoint> = Api[E]['query'];
export type BodyOf<E extends Endpoint> = Api[E]['body'];
export type AnswerOf<E extends Endpoint> = Api[E]['answer'];
