// Everything by its name: Ctrl-K, ⌘K or /. Guarantees: what is typed is matched word by word in any order; an address or a
// Message-ID leads straight to its trace; the arrows move, Enter goes, Escape leaves.

import { Dialog } from '@base-ui/react/dialog';
import { type KeyboardEvent, type ReactNode, useEffect, useId, useMemo, useRef, useState } from 'react';
import { flipTheme } from './appearance.ts';
import type { Account, Domain, Site } from './contract.ts';
import { text } from './language.ts';
import { placesOfOrg, placesOfSite } from './navigation.ts';
import { Icon, type IconName } from './parts/icon.tsx';
import { useList } from './resource.ts';
import { may } from './rights.ts';
import { go, useWhere } from './router.tsx';
import { orgPath, screenOf, useVisitor } from './session.ts';

interface Entry {
  readonly key: string;
  readonly label: string;
  readonly group: string;
  readonly icon: IconName;
  readonly run: () => void;
}
interface PaletteProps {
  readonly sites: readonly Site[];
  readonly onClose: () => void;
  readonly onSignOut: () => void;
}
const SHOWN = 12;

export function Palette({ sites, onClose, onSignOut }: PaletteProps): ReactNode {
  const [query, setQuery] = useState('');
  const [chosen, setChosen] = useState(0);
  const list = useId();
  const entries = useEntries(sites, onSignOut, query);
  const active = Math.min(chosen, entries.length - 1);
  const shown = useRef<HTMLUListElement>(null);
  useEffect(() => {
    shown.current?.children[active]?.scrollIntoView({ block: 'nearest' });
  }, [active]);
  const start = (entry: Entry | undefined): void => {
    if (entry === undefined) return;
    onClose();
    entry.run();
  };
  const press = (event: KeyboardEvent): void => {
    if (event.key === 'ArrowDown') setChosen((active + 1) % Math.max(1, entries.length));
    else if (event.key === 'ArrowUp') setChosen((active + entries.length - 1) % Math.max(1, entries.length));
    else if (event.key === 'Enter') start(entries[active]);
    else return;
    event.preventDefault();
  };
  return (
    <Dialog.Root open onOpenChange={(open) => !open && onClose()}>
      <Dialog.Portal>
        <Dialog.Backdrop className="backdrop" />
        <Dialog.Popup className="palette">
          <Dialog.Title className="hidden">{text.palette.title}</Dialog.Title>
          <div className="palette-input">
            <Icon name="search" />
            <input
              role="combobox"
              aria-expanded="true"
              aria-controls={list}
              aria-activedescendant={entries[active] === undefined ? undefined : `${list}-${active}`}
              aria-label={text.palette.title}
              placeholder={text.palette.hint}
              spellCheck={false}
              autoComplete="off"
              value={query}
              onChange={(event) => {
                setQuery(event.target.value);
                setChosen(0);
              }}
              onKeyDown={press}
            />
          </div>
          {/* biome-ignore lint/a11y/noNoninteractiveElementToInteractiveRole: the pattern of a combobox with a list */}
          <ul className="palette-list" role="listbox" id={list} aria-label={text.palette.title} ref={shown}>
            {entries.map((entry, i) => (
              // biome-ignore lint/a11y/useKeyWithClickEvents lint/a11y/useFocusableInteractive: the keys are the input's, which keeps the focus
              // biome-ignore lint/a11y/noNoninteractiveElementToInteractiveRole: as above
              <li key={entry.key} id={`${list}-${i}`} role="option" aria-selected={i === active} onClick={() => start(entry)} onMouseMove={() => setChosen(i)}>
                <Icon name={entry.icon} />
                <span>{entry.label}</span>
                <span className="palette-group">{entry.group}</span>
              </li>
            ))}
          </ul>
          {entries.length === 0 && <p className="palette-none">{text.palette.none}</p>}
          <p className="palette-keys">
            <kbd>↑</kbd>
            <kbd>↓</kbd> {text.palette.move} <kbd>↵</kbd> {text.palette.open} <kbd>esc</kbd> {text.palette.leave} <kbd>j</kbd>
            <kbd>k</kbd> {text.palette.rows}
          </p>
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

function useEntries(sites: readonly Site[], onSignOut: () => void, query: string): readonly Entry[] {
  const { member } = useVisitor();
  const { path } = useWhere();
  const here = sites.find((s) => s.id === /^\/o\/[^/]+\/sites\/([^/]+)/.exec(path)?.[1]);
  const joined = here !== undefined && here.state !== 'waiting';
  const accounts = useList<Account>(joined ? orgPath(member.id, 'sites', here.id, 'accounts') : null).value?.items;
  const domains = useList<Domain>(joined && may(member, 'domains.see') ? orgPath(member.id, 'sites', here.id, 'domains') : null).value?.items;
  const fixed = useMemo(() => {
    const to = (group: string, label: string, icon: IconName, address: string): Entry => ({ key: address, label, group, icon, run: () => go(address) });
    const base = (site: Site, ...parts: string[]): string => screenOf(member.id, 'sites', site.id, ...parts);
    const out: Entry[] = [];
    if (here !== undefined) for (const p of placesOfSite(member, here)) out.push(to(here.name, p.label, p.icon, p.to));
    if (joined && may(member, 'accounts.edit')) out.push(to(here.name, text.accounts.add, 'plus', base(here, 'accounts', 'new')));
    if (joined && may(member, 'domains.edit')) out.push(to(here.name, text.domains.add, 'plus', base(here, 'domains', 'new')));
    if (joined && may(member, 'aliases.edit')) out.push(to(here.name, text.aliases.add, 'plus', base(here, 'aliases', 'new')));
    out.push(to(text.palette.go, text.nav.sites, 'sites', screenOf(member.id)));
    for (const site of sites) if (site !== here) out.push(to(text.palette.site, site.name, 'sites', base(site)));
    for (const p of placesOfOrg(member)) out.push(to(member.name, p.label, p.icon, p.to));
    if (may(member, 'site.add')) out.push(to(text.palette.go, text.sites.add, 'plus', screenOf(member.id, 'new')));
    out.push(to(text.palette.go, text.nav.profile, 'person', screenOf(member.id, 'profile')));
    out.push({ key: 'theme', label: text.palette.theme, group: text.palette.act, icon: 'sun', run: flipTheme });
    out.push({ key: 'out', label: text.nav.signOut, group: text.palette.act, icon: 'out', run: onSignOut });
    if (here !== undefined) {
      for (const a of accounts ?? []) out.push(to(text.nav.site.accounts, a.address, 'accounts', base(here, 'accounts', a.address)));
      for (const d of domains ?? []) out.push(to(text.nav.site.domains, d.name, 'domains', base(here, 'domains', d.name)));
    }
    return out;
  }, [member, here, joined, sites, accounts, domains, onSignOut]);
  return useMemo(() => {
    const words = query.toLowerCase().split(/\s+/).filter(Boolean);
    const found = fixed.filter((entry) => words.every((word) => `${entry.label} ${entry.group}`.toLowerCase().includes(word))).slice(0, SHOWN);
    const asked = query.trim();
    if (!asked.includes('@') || !joined || !may(member, 'trace.see')) return found;
    const run = (): void => go(`${screenOf(member.id, 'sites', here.id, 'trace')}?about=${encodeURIComponent(asked)}`);
    return [...found, { key: 'trace', label: text.palette.trace(asked), group: here.name, icon: 'trace', run }];
  }, [fixed, query, joined, here, member]);
}
