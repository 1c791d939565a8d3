// Seeds that once found something, with what it was. They are run again in every test run, for ever.

export const seeds: readonly (readonly [seed: number, found: string])[] = [];
