// What one fills in. Each field has a label that is always there, a hint where it helps, and an error that says what to change.

import { type InputHTMLAttributes, type ReactNode, useId, useState } from 'react';
import type { Role } from '../contract.ts';
import { text } from '../language.ts';
import { Help, type Term } from './help.tsx';

interface FieldProps {
  readonly label: string;
  readonly hint?: ReactNode;
  readonly error?: string | undefined;
  readonly term?: Term;
  readonly optional?: boolean;
}
interface Bound {
  readonly id: string;
  readonly 'aria-describedby': string | undefined;
  readonly 'aria-invalid': true | undefined;
}
function Field({ label, hint, error, term, optional, children }: FieldProps & { readonly children: (bound: Bound) => ReactNode }): ReactNode {
  const id = useId();
  const about = [hint === undefined ? null : `${id}-hint`, error === undefined ? null : `${id}-error`].filter((x) => x !== null).join(' ');
  return (
    <div className="field">
      <div className="field-label">
        <label htmlFor={id}>{label}</label>
        {optional && <span className="field-optional">{text.form.optional}</span>}
        {term !== undefined && <Help term={term} />}
      </div>
      {children({ id, 'aria-describedby': about === '' ? undefined : about, 'aria-invalid': error === undefined ? undefined : true })}
      {error !== undefined && (
        <p className="field-error" id={`${id}-error`}>
          {error}
        </p>
      )}
      {hint !== undefined && (
        <p className="field-hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
    </div>
  );
}

type Native = Pick<
  InputHTMLAttributes<HTMLInputElement>,
  | 'type'
  | 'autoComplete'
  | 'placeholder'
  | 'inputMode'
  | 'required'
  | 'minLength'
  | 'maxLength'
  | 'autoFocus'
  | 'readOnly'
  | 'disabled'
  | 'pattern'
  | 'spellCheck'
  | 'name'
  | 'list'
>;
interface TextProps extends FieldProps, Native {
  readonly value: string;
  readonly onValue: (value: string) => void;
  /** In the letters of machines. */
  readonly mono?: boolean;
  readonly suffix?: string | undefined;
}
export function TextField({ label, hint, error, term, optional, value, onValue, mono, suffix, ...native }: TextProps): ReactNode {
  return (
    <Field label={label} hint={hint} error={error} {...(term && { term })} {...(optional && { optional })}>
      {(bound) => (
        <div className={suffix === undefined ? 'inputrow' : 'inputrow inputrow-suffix'}>
          <input className={mono ? 'input mono' : 'input'} type="text" value={value} onChange={(event) => onValue(event.target.value)} {...bound} {...native} />
          {suffix !== undefined && <span className="input-suffix">{suffix}</span>}
        </div>
      )}
    </Field>
  );
}
/** A secret, which one may look at while typing it. */
export function PasswordField({ label, hint, error, value, onValue, ...native }: TextProps): ReactNode {
  const [shown, setShown] = useState(false);
  return (
    <Field label={label} hint={hint} error={error}>
      {(bound) => (
        <div className="inputrow">
          <input className="input" value={value} onChange={(event) => onValue(event.target.value)} {...bound} {...native} type={shown ? 'text' : 'password'} />
          <button type="button" className="input-action" aria-pressed={shown} onClick={() => setShown(!shown)}>
            {shown ? text.form.hide : text.form.show}
            <span className="hidden"> {label}</span>
          </button>
        </div>
      )}
    </Field>
  );
}
/** One that is chosen here, and kept by the program that remembers passwords. */
export function NewPasswordField(props: Pick<TextProps, 'label' | 'hint' | 'error' | 'value' | 'onValue' | 'required' | 'autoFocus'>): ReactNode {
  return <PasswordField hint={text.form.passwordHint} {...props} autoComplete="new-password" minLength={12} />;
}
interface ChoiceProps<T extends string> extends FieldProps {
  readonly value: T;
  readonly onValue: (value: T) => void;
  readonly options: readonly { readonly value: T; readonly label: string }[];
  readonly disabled?: boolean;
}
export function ChoiceField<T extends string>({ label, hint, error, term, value, onValue, options, disabled }: ChoiceProps<T>): ReactNode {
  return (
    <Field label={label} hint={hint} error={error} {...(term && { term })}>
      {(bound) => <Choice value={value} onValue={onValue} options={options} {...(disabled && { disabled })} {...bound} />}
    </Field>
  );
}
type BareChoice<T extends string> = Pick<ChoiceProps<T>, 'value' | 'onValue' | 'options' | 'disabled'> & { readonly 'aria-label'?: string } & Partial<Bound>;
export function Choice<T extends string>({ value, onValue, options, ...rest }: BareChoice<T>): ReactNode {
  return (
    <span className="select">
      <select className="input" value={value} onChange={(event) => onValue(event.target.value as T)} {...rest}>
        {options.map((option) => (
          <option key={option.value} value={option.value}>
            {option.label}
          </option>
        ))}
      </select>
    </span>
  );
}
interface AreaProps extends FieldProps {
  readonly value: string;
  readonly onValue: (value: string) => void;
  readonly rows?: number;
  readonly placeholder?: string;
}
export function AreaField({ label, hint, error, term, value, onValue, rows = 4, placeholder }: AreaProps): ReactNode {
  return (
    <Field label={label} hint={hint} error={error} {...(term && { term })}>
      {(bound) => (
        <textarea
          className="input mono"
          rows={rows}
          value={value}
          placeholder={placeholder}
          spellCheck={false}
          onChange={(event) => onValue(event.target.value)}
          {...bound}
        />
      )}
    </Field>
  );
}
type RoleProps = Pick<ChoiceProps<Role>, 'value' | 'onValue'> & { readonly roles: readonly Role[] };
/** Who may what, with what it means below. */
export function RoleField({ roles, value, onValue }: RoleProps): ReactNode {
  const options = roles.map((role) => ({ value: role, label: text.roles[role].name }));
  return <ChoiceField<Role> label={text.members.role} hint={text.roles[value].about} value={value} onValue={onValue} options={options} />;
}
/** On or off, at once. */
export function SwitchField({
  label,
  hint,
  checked,
  onChecked,
  disabled,
}: {
  label: string;
  hint?: string;
  checked: boolean;
  onChecked: (on: boolean) => void;
  disabled?: boolean;
}): ReactNode {
  const id = useId();
  return (
    <div className="switchfield">
      <div>
        <div className="switch-label" id={`${id}-label`}>
          {label}
        </div>
        {hint !== undefined && (
          <p className="field-hint" id={`${id}-hint`}>
            {hint}
          </p>
        )}
      </div>
      <button
        type="button"
        role="switch"
        className="switch"
        aria-checked={checked}
        disabled={disabled}
        aria-labelledby={`${id}-label`}
        aria-describedby={hint === undefined ? undefined : `${id}-hint`}
        onClick={() => onChecked(!checked)}
      >
        <span className="switch-thumb" />
      </button>
    </div>
  );
}
