// Passkeys (WebAuthn Level 3): the portal's options in, the authenticator's answer out, both as JSON. Browsers that cannot
// turn them into JSON themselves are helped.

const octets = (text: string): Uint8Array<ArrayBuffer> => Uint8Array.from(atob(text.replace(/-/g, '+').replace(/_/g, '/')), (c) => c.charCodeAt(0));
const encode = (buffer: ArrayBuffer): string =>
  btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replace(/\+/g, '-')
    .replace(/\//g, '_')
    .replace(/=+$/, '');

export const hasPasskeys = (): boolean => typeof PublicKeyCredential !== 'undefined' && isSecureContext;

interface Described {
  readonly id: string;
  readonly type: PublicKeyCredentialType;
}
const described = (list: readonly Described[] | undefined): PublicKeyCredentialDescriptor[] => (list ?? []).map((d) => ({ ...d, id: octets(d.id) }));

/** Null: the person turned away. */
export async function answerSignIn(options: PublicKeyCredentialRequestOptionsJSON): Promise<unknown> {
  const { extensions: _, ...known } = options; // the portal asks for none
  const publicKey = { ...known, challenge: octets(options.challenge), allowCredentials: described(options.allowCredentials as Described[] | undefined) };
  const found = await navigator.credentials.get({ publicKey: publicKey as PublicKeyCredentialRequestOptions }).catch(() => null);
  return found instanceof PublicKeyCredential ? plain(found) : null;
}
/** Null: the person turned away. */
export async function answerNew(options: PublicKeyCredentialCreationOptionsJSON): Promise<unknown> {
  const { extensions: _, ...known } = options;
  const publicKey = {
    ...known,
    challenge: octets(options.challenge),
    user: { ...options.user, id: octets(options.user.id) },
    excludeCredentials: described(options.excludeCredentials as Described[] | undefined),
  };
  const made = await navigator.credentials.create({ publicKey: publicKey as PublicKeyCredentialCreationOptions }).catch(() => null);
  return made instanceof PublicKeyCredential ? plain(made) : null;
}

function plain(credential: PublicKeyCredential): unknown {
  if (typeof credential.toJSON === 'function') return credential.toJSON();
  const { response } = credential;
  const kept: Record<string, unknown> = { clientDataJSON: encode(response.clientDataJSON) };
  if (response instanceof AuthenticatorAttestationResponse) {
    kept['attestationObject'] = encode(response.attestationObject);
    kept['transports'] = response.getTransports();
  } else if (response instanceof AuthenticatorAssertionResponse) {
    kept['authenticatorData'] = encode(response.authenticatorData);
    kept['signature'] = encode(response.signature);
    if (response.userHandle !== null) kept['userHandle'] = encode(response.userHandle);
  }
  return {
    id: credential.id,
    rawId: encode(credential.rawId),
    type: credential.type,
    response: kept,
    clientExtensionResults: credential.getClientExtensionResults(),
  };
}
