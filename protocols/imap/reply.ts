// What follows the tag of a command.

export interface Reply {
  readonly status: 'OK' | 'NO' | 'BAD';
  readonly text: string;
}
export const ok = (text: string): Reply => ({ status: 'OK', text });
export const no = (text: string): Reply => ({ status: 'NO', text });
export const bad = (text: string): Reply => ({ status: 'BAD', text });
