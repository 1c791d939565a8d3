// Assertions stay on in production: a false one crashes the actor that owns it (DESIGN: the impossible is an assertion).

/** Throws unless `condition` holds. `what` names the rule, not the failure. */
export function assert(condition: boolean, what: string): asserts condition {
  if (!condition) throw new AssertionError(what);
}

/** For the default branch of an exhaustive switch: the type checker proves it is never reached. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable: ${String(value)}`);
}

/** Tells a broken invariant from a failing machine in the log. */
export class AssertionError extends Error {
  constructor(what: string) {
    super(`assert: ${what}`);
    this.name = 'AssertionError';
  }
}
