// LIST with its extensions (RFC 5258, 5819, 6154), LSUB and XLIST. Guarantees: every superior of a name can be listed,
// whether it exists or not; a pattern costs name × pattern.

import { limits } from '../../../actors/limits.ts';
import { type MailboxView, mailboxes, subscriptions } from '../../../storage/views.ts';
import { type Parser, textOf } from '../grammar.ts';
import { decodeName, delimiter, matches, superiors } from '../names.ts';
import { nameText } from '../render.ts';
import { ok, type Reply } from '../reply.ts';
import type { ImapSession } from '../session.ts';
import { parseStatusItems, writeStatus } from './status.ts';

interface List {
  readonly reference: string;
  readonly patterns: readonly string[];
  readonly select: readonly string[];
  readonly give: readonly string[];
  readonly status: readonly string[] | null;
  /** Options or several patterns: RFC 5258 rules hold. */
  readonly extended: boolean;
}

const selections = ['SUBSCRIBED', 'REMOTE', 'RECURSIVEMATCH', 'SPECIAL-USE'];
const returns = ['SUBSCRIBED', 'CHILDREN', 'SPECIAL-USE'];

/** [SP "(" select-opts ")"] SP reference SP (pattern / "(" pattern… ")") [SP RETURN SP "(" return-opts ")"]. */
export function parseList(p: Parser): List {
  p.space();
  const select: string[] = [];
  let extended = false;
  if (p.next(40)) {
    extended = true;
    p.list(() => option(p, selections, select), true);
    p.space();
  }
  const reference = decodeName(textOf(p.astring()));
  p.space();
  const patterns: string[] = [];
  if (p.next(40)) {
    extended = true;
    p.list(() => {
      patterns.push(pattern(p));
      if (patterns.length > limits.mailboxDepth) p.fail('Too many patterns');
    });
  } else patterns.push(pattern(p));
  const give: string[] = [];
  let status: readonly string[] | null = null;
  if (p.next(32)) {
    p.space();
    if (!p.takeWord('RETURN')) p.fail('RETURN expected');
    extended = true;
    p.space();
    p.list(() => {
      if (!p.takeWord('STATUS')) return option(p, returns, give);
      p.space();
      status = parseStatusItems(p);
    }, true);
  }
  // RFC 5258 §3: it changes another option, and is none itself
  if (select.includes('RECURSIVEMATCH') && !select.includes('SUBSCRIBED') && !select.includes('SPECIAL-USE')) p.fail('RECURSIVEMATCH of what?');
  return { reference, patterns, select, give, status, extended };
}

function option(p: Parser, known: readonly string[], into: string[]): void {
  const name = p.word();
  if (!known.includes(name)) p.fail('There is no such option of LIST');
  into.push(name);
}

const pattern = (p: Parser): string => decodeName(textOf(p.listMailbox()));

/** reference and pattern of LSUB and XLIST. */
export function parseLsub(p: Parser): List {
  p.space();
  const reference = decodeName(textOf(p.astring()));
  p.space();
  return { reference, patterns: [pattern(p)], select: [], give: [], status: null, extended: false };
}

/** What is known of a name. */
interface Named {
  readonly name: string;
  box: MailboxView | null;
  subscribed: boolean;
  children: boolean;
  /** It or something below it was subscribed to, or has a special use. */
  below: string[];
}

/** All names of the account, those of superiors that do not exist, and those only subscribed to; INBOX first. */
function namesOf(s: ImapSession): Map<string, Named> {
  const { view } = s.site;
  view.refresh();
  const all = new Map<string, Named>();
  const at = (name: string): Named => {
    let named = all.get(name);
    if (!named) all.set(name, (named = { name, box: null, subscribed: false, children: false, below: [] }));
    return named;
  };
  for (const box of mailboxes(view, s.account)) at(box.name).box = box;
  for (const name of subscriptions(view, s.account)) at(name).subscribed = true;
  for (const named of [...all.values()]) {
    for (const superior of superiors(named.name)) {
      const above = at(superior);
      if (named.box !== null) above.children = true;
      if (named.subscribed && !above.below.includes('SUBSCRIBED')) above.below.push('SUBSCRIBED');
      if (named.box !== null && named.box.specialUse !== '' && !above.below.includes('SPECIAL-USE')) above.below.push('SPECIAL-USE');
    }
  }
  const rank = (name: string): string => (name === 'INBOX' ? '' : name);
  return new Map([...all].sort(([a], [b]) => (rank(a) < rank(b) ? -1 : 1)));
}

/** RFC 3501 §6.3.8: the reference goes before the pattern. */
const fullPattern = (reference: string, p: string): string => reference + p;

const matchesAny = (args: List, name: string): boolean => args.patterns.some((p) => matches(fullPattern(args.reference, p), name));

function line(s: ImapSession, verb: string, attributes: readonly string[], name: string, extra = ''): void {
  s.out.line(`* ${verb} (${attributes.join(' ')}) "${delimiter}" ${nameText(name)}${extra}`);
}

export async function list(s: ImapSession, args: List): Promise<Reply> {
  // RFC 3501 §6.3.8: an empty pattern asks for the delimiter
  if (!args.extended && args.patterns[0] === '') {
    line(s, 'LIST', ['\\Noselect'], '');
    return ok('Listed');
  }
  for (const named of namesOf(s).values()) {
    if (!matchesAny(args, named.name)) continue;
    const extra = chosenBecause(args, named);
    if (extra === null) continue;
    line(s, 'LIST', attributesOf(args, named), named.name, extra);
    if (args.status !== null && named.box !== null) writeStatus(s, named.box, args.status);
    const wait = s.pressure();
    if (wait !== null) await wait;
  }
  return ok('Listed');
}

/** null: it is not to be listed. Else what follows the name: CHILDINFO where only something below it is chosen. */
function chosenBecause({ select, patterns, reference }: List, named: Named): string | null {
  const own = (what: string): boolean => (what === 'SUBSCRIBED' ? named.subscribed : (named.box?.specialUse ?? '') !== '');
  const criteria = select.filter((o) => o === 'SUBSCRIBED' || o === 'SPECIAL-USE');
  // A name that is only subscribed to is not there for LIST, but a superior of a mailbox is
  if (criteria.length === 0) return named.box !== null || named.children ? '' : null;
  const below = select.includes('RECURSIVEMATCH') ? criteria.filter((c) => named.below.includes(c)) : [];
  // RFC 5258 §3.5: only told where the children themselves do not match the pattern
  const told = below.filter(() => !patterns.some((p) => matches(fullPattern(reference, p), `${named.name}${delimiter}x`)));
  if (criteria.every(own)) return told.length > 0 ? childInfo(told) : '';
  return told.length > 0 ? childInfo(told) : null;
}

const childInfo = (criteria: readonly string[]): string => ` ("CHILDINFO" (${criteria.map((c) => `"${c}"`).join(' ')}))`;

function attributesOf({ select, give, extended }: List, named: Named): string[] {
  const out: string[] = [];
  if (named.box === null) out.push(extended ? '\\NonExistent' : '\\Noselect');
  out.push(named.children ? '\\HasChildren' : '\\HasNoChildren');
  if (named.subscribed && (select.includes('SUBSCRIBED') || give.includes('SUBSCRIBED'))) out.push('\\Subscribed');
  if (named.box !== null && named.box.specialUse !== '') out.push(named.box.specialUse);
  return out;
}

/** RFC 3501 §6.3.9. Special uses are told here too: some clients look nowhere else. */
export async function lsub(s: ImapSession, args: List): Promise<Reply> {
  if (args.patterns[0] === '') {
    line(s, 'LSUB', ['\\Noselect'], '');
    return ok('Listed');
  }
  const percent = args.patterns.some((p) => p.includes('%'));
  for (const named of namesOf(s).values()) {
    if (!matchesAny(args, named.name)) continue;
    if (named.subscribed) {
      const use = named.box?.specialUse ?? '';
      line(s, 'LSUB', [...(named.box === null ? ['\\Noselect'] : []), ...(use === '' ? [] : [use])], named.name);
    } else if (percent && named.below.includes('SUBSCRIBED')) line(s, 'LSUB', ['\\Noselect'], named.name);
  }
  return ok('Listed');
}

/** What Gmail had before SPECIAL-USE: the same with \Inbox. */
export async function xlist(s: ImapSession, args: List): Promise<Reply> {
  for (const named of namesOf(s).values()) {
    if ((named.box === null && !named.children) || !matchesAny(args, named.name)) continue;
    line(s, 'XLIST', [...attributesOf(args, named), ...(named.name === 'INBOX' ? ['\\Inbox'] : [])], named.name);
  }
  return ok('Listed');
}
