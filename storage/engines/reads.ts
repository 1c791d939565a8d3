// The octets of reads between processes, for engines which one process opens: what remote.ts asks and readserver.ts answers.
// One question, one answer, in turn.
//
//   question  [u32 length][u8 kind][u8 flags] then, by kind:
//             get    [u64 hash of the value that is known, 0: none][key]
//             range  [u32 limit, 0: none][u32 octets of a page][u16 length of from][from][to]
//   answer    [u32 length][f64 sequence of the commit][u8 result] then, by result:
//             value  [octets]
//             rows   ([u16 key length][u32 value length][key][value])…
//
// A flag `fresh` asks for the newest commit from now on; without it the answer is of the same commit as the one before.

export const GET = 1;
export const RANGE = 2;

export const FRESH = 1;
export const REVERSE = 2;
export const KEYS_ONLY = 4;
/** The view is kept until the connection ends, however long nobody asks. */
export const HELD = 8;

export const ABSENT = 0;
export const VALUE = 1;
/** The value is the one whose hash was given. */
export const SAME = 2;
/** The last rows of the range. */
export const ROWS = 3;
export const ROWS_AND_MORE = 4;

const questionHead = 6;
export const answerHead = 13;

/** Tells a value from others under its key. Never 0. */
export const hashOf = (value: Uint8Array): bigint => (Bun.hash(value) as bigint) || 1n;

export function encodeGet(key: Uint8Array, flags: number, known: bigint): Uint8Array {
  const question = new Uint8Array(questionHead + 8 + key.length);
  const view = head(question, GET, flags);
  view.setBigUint64(questionHead, known);
  question.set(key, questionHead + 8);
  return question;
}

export function encodeRange(from: Uint8Array, to: Uint8Array, flags: number, limit: number, octets: number): Uint8Array {
  const question = new Uint8Array(questionHead + 10 + from.length + to.length);
  const view = head(question, RANGE, flags);
  view.setUint32(questionHead, limit);
  view.setUint32(questionHead + 4, octets);
  view.setUint16(questionHead + 8, from.length);
  question.set(from, questionHead + 10);
  question.set(to, questionHead + 10 + from.length);
  return question;
}

function head(question: Uint8Array, kind: number, flags: number): DataView {
  const view = new DataView(question.buffer);
  view.setUint32(0, question.length - 4);
  question[4] = kind;
  question[5] = flags;
  return view;
}
