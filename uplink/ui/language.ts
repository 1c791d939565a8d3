// Which catalogue the screens speak from: the first of the browser's languages that there is one for. A new language is one
// file of the shape of english.ts, and one row here.

import { english } from './english.ts';

type Shape<T> = T extends string ? string : T extends (...given: infer G) => string ? (...given: G) => string : { readonly [K in keyof T]: Shape<T[K]> };
export type Catalogue = Shape<typeof english>;

const catalogues: Readonly<Record<string, Catalogue>> = { en: english };

export const text: Catalogue = navigator.languages.map((tag) => catalogues[tag.slice(0, 2)]).find((found) => found !== undefined) ?? english;
