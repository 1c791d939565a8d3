// Rows of the same kind. Guarantees: on a narrow screen each row is a card with its labels; the keyboard walks the rows (arrows,
// or j and k from anywhere), Enter opens one, Space picks one; what can be opened is a link, so a new tab is one too.

import { type KeyboardEvent, type ReactNode, useEffect, useRef } from 'react';
import { text } from '../language.ts';
import { Link } from '../router.tsx';

export interface Column<T> {
  readonly label: string;
  readonly cell: (row: T) => ReactNode;
  /** Numbers and times stand at the end. */
  readonly end?: boolean;
  /** Takes what room there is. */
  readonly wide?: boolean;
  /** Not worth a line on a card. */
  readonly spare?: boolean;
}
interface TableProps<T> {
  readonly label: string;
  readonly rows: readonly T[];
  readonly columns: readonly [Column<T>, ...Column<T>[]];
  readonly keyOf: (row: T) => string;
  /** Where the first cell of a row leads. */
  readonly to?: ((row: T) => string | undefined) | undefined;
  readonly picked?: ReadonlySet<string> | undefined;
  readonly onPick?: ((key: string, on: boolean) => void) | undefined;
  readonly pickLabel?: (row: T) => string;
  /** Fits a phone as it is. */
  readonly slim?: boolean;
  /** What stands at the end of a row: buttons. */
  readonly tail?: ((row: T) => ReactNode) | undefined;
}

export function Table<T>({ label, rows, columns, keyOf, to, picked, onPick, pickLabel, tail, slim }: TableProps<T>): ReactNode {
  const body = useRef<HTMLTableSectionElement>(null);
  useWalking(body);
  const [first, ...others] = columns;
  return (
    <div className={slim ? 'tablebox tablebox-slim' : 'tablebox'}>
      <table className="table">
        <caption className="hidden">{label}</caption>
        <thead>
          <tr>
            {onPick && <th className="cell-pick">{<span className="hidden">{text.table.pick}</span>}</th>}
            {columns.map((column) => (
              <th key={column.label} scope="col" className={cellClass(column)}>
                {column.label}
              </th>
            ))}
            {tail && <th className="cell-tail">{<span className="hidden">{text.table.actions}</span>}</th>}
          </tr>
        </thead>
        <tbody ref={body} onKeyDown={walk}>
          {rows.map((row) => {
            const key = keyOf(row);
            const href = to?.(row);
            return (
              <tr key={key} data-picked={picked?.has(key) || undefined} data-opens={href !== undefined || undefined}>
                {onPick && (
                  <td className="cell-pick">
                    <label className="pick">
                      <input type="checkbox" data-walk checked={picked?.has(key) ?? false} onChange={(event) => onPick(key, event.target.checked)} />
                      <span className="hidden">{text.table.pickOne(pickLabel?.(row) ?? key)}</span>
                    </label>
                  </td>
                )}
                <th scope="row" className={`cell-first ${cellClass(first)}`}>
                  {href === undefined ? first.cell(row) : <Opens to={href}>{first.cell(row)}</Opens>}
                </th>
                {others.map((column) => (
                  <td key={column.label} className={cellClass(column)} data-label={column.label} data-spare={column.spare || undefined}>
                    {column.cell(row)}
                  </td>
                ))}
                {tail && <td className="cell-tail">{tail(row)}</td>}
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}
const cellClass = (column: { readonly end?: boolean; readonly wide?: boolean }): string => `${column.end ? 'end' : ''}${column.wide ? ' wide' : ''}`;

function Opens({ to, children }: { readonly to: string; readonly children: ReactNode }): ReactNode {
  return (
    <Link to={to} className="rowlink">
      {children}
    </Link>
  );
}

/** What of a row is focused: its box when one walks boxes, else what opens it. */
const handle = (row: Element | null | undefined, boxes = false): HTMLElement | null =>
  (boxes ? null : row?.querySelector<HTMLElement>('.rowlink')) ?? row?.querySelector<HTMLElement>('[data-walk], a, button') ?? null;

/** Arrows, Home and End go from row to row. */
function walk(event: KeyboardEvent<HTMLTableSectionElement>): void {
  if (event.target instanceof HTMLElement && event.target.matches('input:not([type=checkbox]), select, textarea')) return;
  const row = (event.target as HTMLElement).closest('tr');
  const to: Record<string, Element | null | undefined> = {
    ArrowDown: row?.nextElementSibling,
    ArrowUp: row?.previousElementSibling,
    Home: event.currentTarget.firstElementChild,
    End: event.currentTarget.lastElementChild,
  };
  const target = handle(to[event.key], event.target instanceof HTMLInputElement);
  if (target === null) return;
  event.preventDefault();
  target.focus();
}

/** j and k, from wherever one is not typing. */
function useWalking(body: { readonly current: HTMLTableSectionElement | null }): void {
  useEffect(() => {
    const press = (event: globalThis.KeyboardEvent): void => {
      if (event.metaKey || event.ctrlKey || event.altKey || (event.key !== 'j' && event.key !== 'k')) return;
      if (event.target instanceof HTMLElement && event.target.closest('input, select, textarea, [role=dialog]')) return;
      const row = document.activeElement?.closest('tr');
      const inside = row !== null && row !== undefined && body.current?.contains(row);
      const next = !inside ? body.current?.firstElementChild : event.key === 'j' ? row.nextElementSibling : row.previousElementSibling;
      handle(next)?.focus();
    };
    document.addEventListener('keydown', press);
    return () => document.removeEventListener('keydown', press);
  }, [body]);
}
