// How a screen is laid out: where one is, what it is called, what one can do here; then sections. And what stands in for
// content: while it comes, when there is none, when it failed.

import type { ReactNode } from 'react';
import { sentence, type Trouble } from '../api.ts';
import { text } from '../language.ts';
import { Link, useTitle } from '../router.tsx';
import { Button } from './button.tsx';
import { Icon, type IconName } from './icon.tsx';

interface PageProps {
  readonly title: string;
  /** One sentence under the title. */
  readonly lead?: ReactNode;
  readonly back?: { readonly to: string; readonly label: string } | undefined;
  readonly actions?: ReactNode;
  /** For forms and text: lines that are easy to read. */
  readonly narrow?: boolean;
  readonly beside?: ReactNode;
  readonly children: ReactNode;
}
export function Page({ title, lead, back, actions, narrow, beside, children }: PageProps): ReactNode {
  useTitle(title);
  return (
    <div className={narrow ? 'page page-narrow' : 'page'}>
      {back !== undefined && (
        <Link to={back.to} className="backlink">
          <Icon name="back" />
          {back.label}
        </Link>
      )}
      <header className="pagehead">
        <div className="pagehead-words">
          <h1>
            {title}
            {beside}
          </h1>
          {lead !== undefined && <p className="lead">{lead}</p>}
        </div>
        {actions !== undefined && <div className="actions">{actions}</div>}
      </header>
      {children}
    </div>
  );
}
interface SectionProps {
  readonly title: string;
  readonly about?: ReactNode;
  readonly actions?: ReactNode;
  readonly beside?: ReactNode;
  readonly children: ReactNode;
}
export function Section({ title, about, actions, beside, children }: SectionProps): ReactNode {
  return (
    <section className="section" aria-label={title}>
      <header className="sectionhead">
        <div>
          <h2>
            {title}
            {beside}
          </h2>
          {about !== undefined && <p className="about">{about}</p>}
        </div>
        {actions !== undefined && <div className="actions">{actions}</div>}
      </header>
      {children}
    </section>
  );
}
export function Card({ children, className }: { readonly children: ReactNode; readonly className?: string }): ReactNode {
  return <div className={className === undefined ? 'card' : `card ${className}`}>{children}</div>;
}
/** Names and values, side by side. */
export function Facts({ rows }: { readonly rows: readonly (readonly [label: ReactNode, value: ReactNode])[] }): ReactNode {
  return (
    <dl className="facts">
      {rows.map(([label, value], i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the rows of a screen keep their order
        <div className="fact" key={i}>
          <dt>{label}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
export type Tone = 'good' | 'warn' | 'bad' | 'info' | 'idle';
interface NoticeProps {
  readonly tone: Tone;
  readonly title: string;
  readonly children?: ReactNode;
  readonly icon?: IconName;
  readonly action?: ReactNode;
}
const signs: Readonly<Record<Tone, IconName>> = { good: 'check', warn: 'missing', bad: 'wrong', info: 'missing', idle: 'lock' };
export function Notice({ tone, title, children, icon = signs[tone], action }: NoticeProps): ReactNode {
  return (
    <div className={`notice notice-${tone}`} role={tone === 'bad' ? 'alert' : 'status'}>
      <Icon name={icon} />
      <div className="notice-words">
        <p className="notice-title">{title}</p>
        {children !== undefined && children !== null && children !== false && children !== '' && <div className="notice-text">{children}</div>}
      </div>
      {action}
    </div>
  );
}
/** A cause and a next step. */
export function TroubleNotice({ trouble, onRetry }: { readonly trouble: Trouble | undefined; readonly onRetry?: () => void }): ReactNode {
  if (trouble === undefined) return null;
  const listed = trouble.errors.length > 0 && /: see errors/.test(trouble.detail); // then each says what to do
  return (
    <Notice tone="bad" title={listed ? text.trouble.wrong : trouble.title} action={onRetry && <Button onPress={onRetry}>{text.trouble.retry}</Button>}>
      {!listed && trouble.detail}
      {trouble.problem?.changed !== undefined && (
        <ul>
          {trouble.problem.changed.slice(0, 8).map(({ path, was, now }) => (
            <li key={path}>
              <code>{path}</code> {text.trouble.changed(JSON.stringify(was) ?? '', JSON.stringify(now) ?? '')}
            </li>
          ))}
        </ul>
      )}
      {trouble.errors.length > 0 && (
        <ul>
          {trouble.errors.map((error) => (
            <li key={error.path + error.message}>
              {error.path !== '' && error.path !== 'body' && <code>{error.path}</code>}{' '}
              {error.path === '' || error.path === 'body' ? sentence(error.message) : error.message}
            </li>
          ))}
        </ul>
      )}
    </Notice>
  );
}
export function Empty({ icon, title, children, action }: { icon: IconName; title: string; children?: ReactNode; action?: ReactNode }): ReactNode {
  return (
    <div className="empty">
      <Icon name={icon} className="empty-icon" />
      <p className="empty-title">{title}</p>
      {children !== undefined && <p className="empty-text">{children}</p>}
      {action}
    </div>
  );
}
/** Holds the place of what comes, in about its shape. */
export function Loading({ rows = 4 }: { readonly rows?: number }): ReactNode {
  return (
    <div className="loading" aria-busy="true">
      <output className="hidden">{text.loading}</output>
      {Array.from({ length: rows }, (_, i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: bars are all alike
        <div className="bar" key={i} />
      ))}
    </div>
  );
}
interface AwaitProps<T> {
  readonly of: { readonly value: T | undefined; readonly trouble: Trouble | undefined; readonly reload: () => void; readonly more?: (() => void) | undefined };
  readonly rows?: number;
  readonly children: (value: T) => ReactNode;
}
/** The content, or what stands in for it. An old answer is shown with the trouble above it. */
export function Await<T>({ of, rows, children }: AwaitProps<T>): ReactNode {
  if (of.value === undefined) return of.trouble === undefined ? <Loading rows={rows ?? 4} /> : <TroubleNotice trouble={of.trouble} onRetry={of.reload} />;
  return (
    <>
      <TroubleNotice trouble={of.trouble} onRetry={of.reload} />
      {children(of.value)}
      {of.more !== undefined && (
        <Button className="more" onPress={of.more}>
          {text.table.more}
        </Button>
      )}
    </>
  );
}
