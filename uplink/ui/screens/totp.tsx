// The second factor (RFC 6238): a secret as a picture for the authenticator's camera, proved by one code before it counts; then the
// recovery codes, once.

import { type ReactNode, useMemo, useState } from 'react';
import { encode } from 'uqr';
import { ask } from '../api.ts';
import type { AnswerOf } from '../contract.ts';
import { text } from '../language.ts';
import { Button } from '../parts/button.tsx';
import { CopyValue, CopyLine } from '../parts/copy.tsx';
import { TextField } from '../parts/field.tsx';
import { Notice, TroubleNotice } from '../parts/page.tsx';
import { State } from '../parts/state.tsx';
import { useWork } from '../session.ts';

type Offer = AnswerOf<'POST /me/totp'>;
export function Totp({ on, onChanged }: { readonly on: boolean; readonly onChanged: () => void }): ReactNode {
  const [offer, setOffer] = useState<Offer>();
  const [codes, setCodes] = useState<readonly string[]>();
  const begin = useWork(async () => {
    const { value, trouble } = await ask<Offer>('/me/totp', { method: 'POST' });
    setOffer(value);
    return trouble;
  });
  const stop = useWork(async () => {
    const { trouble } = await ask('/me/totp', { method: 'DELETE' });
    if (trouble === undefined) onChanged();
    return trouble;
  });
  if (codes !== undefined) return <Codes codes={codes} />;
  if (offer !== undefined)
    return (
      <Proof
        offer={offer}
        onProved={(list) => {
          setOffer(undefined);
          setCodes(list);
          onChanged();
        }}
      />
    );
  return (
    <div className="form">
      <State tone={on ? 'good' : 'warn'}>{on ? text.profile.totpOn : text.profile.totpOff}</State>
      <TroubleNotice trouble={begin.trouble ?? stop.trouble} />
      <div className="actions">
        {on ? (
          <Button busy={stop.busy} onPress={() => void stop.start()}>
            {text.profile.totpStop}
          </Button>
        ) : (
          <Button look="primary" busy={begin.busy} onPress={() => void begin.start()}>
            {text.profile.totpStart}
          </Button>
        )}
      </div>
    </div>
  );
}

function Proof({ offer, onProved }: { readonly offer: Offer; readonly onProved: (codes: readonly string[]) => void }): ReactNode {
  const [code, setCode] = useState('');
  const work = useWork(async () => {
    const { value, trouble } = await ask<AnswerOf<'PUT /me/totp'>>('/me/totp', { method: 'PUT', body: { code: code.replace(/\s/g, '') } });
    if (value !== undefined) onProved(value.recoveryCodes);
    return trouble;
  });
  return (
    <form
      className="totp"
      onSubmit={(event) => {
        event.preventDefault();
        void work.start();
      }}
    >
      <Qr value={offer.uri} />
      <div className="form">
        <p>{text.profile.totpScan}</p>
        <p className="faint">{text.profile.totpByHand}</p>
        <CopyValue value={offer.secret} what={text.profile.totpSecret} />
        <TextField label={text.signIn.code} value={code} onValue={setCode} inputMode="numeric" autoComplete="one-time-code" mono required autoFocus />
        <TroubleNotice trouble={work.trouble} />
        <div className="actions">
          <Button look="primary" submit busy={work.busy}>
            {text.profile.totpProve}
          </Button>
        </div>
      </div>
    </form>
  );
}

/** Dark on white in both appearances: cameras expect it. */
function Qr({ value }: { readonly value: string }): ReactNode {
  const { size, path } = useMemo(() => {
    const { data, size } = encode(value, { ecc: 'M', border: 3 });
    return { size, path: data.map((row, y) => row.map((dark, x) => (dark ? `M${x} ${y}h1v1h-1z` : '')).join('')).join('') };
  }, [value]);
  return (
    <svg className="qr" viewBox={`0 0 ${size} ${size}`} role="img" aria-label={text.profile.totpPicture} shapeRendering="crispEdges">
      <rect width={size} height={size} fill="#fff" />
      <path d={path} fill="#000" />
    </svg>
  );
}

function Codes({ codes }: { readonly codes: readonly string[] }): ReactNode {
  return (
    <>
      <Notice tone="good" title={text.profile.totpOn}>
        {text.profile.codesAbout}
      </Notice>
      <ul className="codes">
        {codes.map((code) => (
          <li key={code}>
            <code>{code}</code>
          </li>
        ))}
      </ul>
      <CopyLine value={codes.join(' ')} what={text.profile.codes} />
    </>
  );
}
