// The parameters of MAIL and RCPT, one row each (RFC 5321 §4.1.2 Mail-parameters, Rcpt-parameters).

import { limits } from '../../actors/limits.ts';
import { notify } from '../../storage/messages.ts';
import type { ExtensionName } from './extensions.ts';
import { type Parameter, parseOrcpt, parseParameters, parseXtext } from './grammar.ts';

export interface MailParameters {
  /** Octets the client means to send; 0: it does not say. */
  size: number;
  smtputf8: boolean;
  ret: '' | 'FULL' | 'HDRS';
  /** xtext as it came. */
  envid: string;
}
export interface RcptParameters {
  /** Bits of `notify`; 0: the default. */
  notify: number;
  /** `type;xtext` as it came. */
  orcpt: string;
}

interface Row<T> {
  readonly extension: ExtensionName;
  readonly rfc: string;
  /** Takes the value, or answers with the reply that refuses it. `utf8`: the transaction has SMTPUTF8. */
  readonly take: (into: T, value: string | null, utf8: boolean) => string | null;
}
type Rows<T> = ReadonlyMap<string, Row<T>>;

const accepted = null;

const mailRows: Rows<MailParameters> = new Map<string, Row<MailParameters>>([
  [
    'SIZE',
    {
      extension: 'SIZE',
      rfc: 'RFC 1870 §6',
      take(into, value) {
        if (value === null || !/^[0-9]{1,20}$/.test(value)) return '501 5.5.4 SIZE is a number of octets';
        into.size = Number(value);
        return into.size > limits.message ? `552 5.3.4 The message is larger than ${limits.message} octets` : accepted;
      },
    },
  ],
  [
    'BODY',
    {
      extension: '8BITMIME',
      rfc: 'RFC 6152 §2',
      take(_into, value) {
        if (/^(7BIT|8BITMIME)$/i.test(value ?? '')) return accepted;
        // RFC 3030 §3: BINARYMIME is not offered
        return value?.toUpperCase() === 'BINARYMIME' ? '504 5.5.4 BODY=BINARYMIME is not offered' : '501 5.5.4 BODY is 7BIT or 8BITMIME';
      },
    },
  ],
  [
    'SMTPUTF8',
    {
      extension: 'SMTPUTF8',
      rfc: 'RFC 6531 §3.4',
      take(into, value) {
        into.smtputf8 = true;
        return value === null ? accepted : '501 5.5.4 SMTPUTF8 has no value';
      },
    },
  ],
  [
    'RET',
    {
      extension: 'DSN',
      rfc: 'RFC 3461 §4.3',
      take(into, value) {
        const ret = value?.toUpperCase();
        if (ret !== 'FULL' && ret !== 'HDRS') return '501 5.5.4 RET is FULL or HDRS';
        into.ret = ret;
        return accepted;
      },
    },
  ],
  [
    'ENVID',
    {
      extension: 'DSN',
      rfc: 'RFC 3461 §4.4',
      take(into, value) {
        const envid = value === null || value.length > 100 ? null : parseXtext(value, false);
        if (envid === null) return '501 5.5.4 ENVID is xtext of at most 100 characters';
        into.envid = envid;
        return accepted;
      },
    },
  ],
  [
    'AUTH',
    {
      extension: 'AUTH',
      rfc: 'RFC 4954 §5',
      // We trust no client to say who authenticated elsewhere: taken, and treated as AUTH=<>
      take: (_into, value) => (value !== null && (value === '<>' || parseXtext(value, false) !== null) ? accepted : '501 5.5.4 AUTH is xtext or <>'),
    },
  ],
]);

const rcptRows: Rows<RcptParameters> = new Map<string, Row<RcptParameters>>([
  [
    'NOTIFY',
    {
      extension: 'DSN',
      rfc: 'RFC 3461 §4.1',
      take(into, value) {
        const bits = notifyBits(value ?? '');
        if (bits === 0) return '501 5.5.4 NOTIFY is NEVER, or some of SUCCESS, FAILURE, DELAY';
        into.notify = bits;
        return accepted;
      },
    },
  ],
  [
    'ORCPT',
    {
      extension: 'DSN',
      rfc: 'RFC 3461 §4.2',
      take(into, value, utf8) {
        const orcpt = value === null ? null : parseOrcpt(value, utf8);
        if (orcpt === null) return '501 5.5.4 ORCPT is a type, ";" and xtext';
        into.orcpt = orcpt;
        return accepted;
      },
    },
  ],
]);

/** RFC 3461 §4.1: NEVER stands alone. 0: not valid. */
function notifyBits(value: string): number {
  let bits = 0;
  for (const word of value.toUpperCase().split(',')) {
    if (word === 'SUCCESS') bits |= notify.success;
    else if (word === 'FAILURE') bits |= notify.failure;
    else if (word === 'DELAY') bits |= notify.delay;
    else if (word === 'NEVER') bits |= notify.never;
    else return 0;
  }
  return (bits & notify.never) !== 0 && bits !== notify.never ? 0 : bits;
}

/** What follows the path of MAIL, or the reply that refuses it. */
export function mailParameters(text: string): MailParameters | string {
  const into: MailParameters = { size: 0, smtputf8: false, ret: '', envid: '' };
  return takeAll(mailRows, into, text, 'MAIL', false) ?? into;
}

/** What follows the path of RCPT, or the reply that refuses it. */
export function rcptParameters(text: string, utf8: boolean): RcptParameters | string {
  const into: RcptParameters = { notify: 0, orcpt: '' };
  return takeAll(rcptRows, into, text, 'RCPT', utf8) ?? into;
}

function takeAll<T>(rows: Rows<T>, into: T, text: string, verb: string, utf8: boolean): string | null {
  const given: readonly Parameter[] | null = parseParameters(text);
  if (given === null) return '501 5.5.4 The parameters are not valid';
  for (const { name, value } of given) {
    const row = rows.get(name);
    // RFC 5321 §4.1.1.11
    if (!row) return `555 5.5.4 ${verb} has no parameter ${name.slice(0, 40)}`;
    const refusal = row.take(into, value, utf8);
    if (refusal !== null) return refusal;
  }
  return null;
}
