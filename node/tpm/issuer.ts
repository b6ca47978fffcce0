import {
  createCipheriv,
  createDecipheriv,
  type KeyObject,
  randomBytes,
  type X509Certificate,
} from 'node:crypto';
import { concat, equalBytes } from '../../ledger/bytes.ts';
import { publicKeyOf } from '../../ledger/crypto/secp256k1.ts';
import { LedgerError } from '../../ledger/errors.ts';
import { formatAcorns, type Grains } from '../../ledger/grains.ts';
import { type AccountId, type ChainId, idBytes, keyId } from '../../ledger/ids.ts';
import { parseEndorsement, signEndorsement } from '../../ledger/tpm/endorsement.ts';
import { checkAttestationKey, parsePublicArea } from '../../ledger/tpm/public-area.ts';
import { checkEkCertificate } from './certificate.ts';
import { makeCredential } from './credential.ts';
import type { EndorsementAnswer, EndorsementRequest } from './issuance-files.ts';
import { IssuerError } from './issuer-error.ts';
import type { IssuerLog } from './issuer-log.ts';
import { ekIdOf, endorsementKeyArea, rsaKey } from './templates.ts';
import type { Tpm } from './tpm.ts';

const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/**
 * The owner's first step: what the chip says of itself. `extra` are certificates (DER) that the owner brings: those that
 * lead to a root, and the chip's own first where the chip does not carry it (Intel, AMD). Throws TpmError.
 */
export async function createRequest(
  tpm: Tpm,
  chainId: ChainId,
  extra: readonly Uint8Array[] = [],
): Promise<EndorsementRequest> {
  const { publicArea, certificate } = await tpm.ek();
  const ak = await tpm.ak();
  return {
    chainId,
    kind: tpm.kind,
    endorsementKey: publicArea,
    attestationKey: ak.publicArea,
    certificates: certificate === undefined ? extra : [certificate, ...extra],
  };
}

/** By what an issuer decides. */
export interface IssuerPolicy {
  readonly chainId: ChainId;
  /** A `dev` issuer also endorses software TPMs; a `public` one never does. */
  readonly chainKind: 'public' | 'dev';
  /** Manufacturers' authorities that are trusted. */
  readonly pinned: readonly X509Certificate[];
  /** What a chip brings its owner. */
  readonly denominationGrains: Grains;
}

/**
 * The issuer's side: judges a request and answers with an endorsement that only the requesting chip can open, if its
 * attestation key lives beside its endorsement key. `nowMs` is the issuer's clock. The log is on disk before this
 * resolves. Throws IssuerError, or LedgerError `ak-*` for an attestation key that is not acceptable.
 */
export async function endorse(
  request: EndorsementRequest,
  issuerSecret: Uint8Array,
  policy: IssuerPolicy,
  log: IssuerLog,
  nowMs: number,
): Promise<EndorsementAnswer> {
  const { chainId, denominationGrains } = policy;
  if (request.chainId !== chainId) throw new IssuerError('wrong-chain', 'the request is for another chain');
  const ekKey = endorsementKeyOf(request);
  const vouchedBy = vouch(request, ekKey, policy, nowMs);
  const { name: akName } = checkAttestationKey(request.attestationKey);
  const ekId = ekIdOf(ekKey);
  const before = await log.denominationOf(ekId);
  if (before !== undefined && before !== denominationGrains)
    throw new IssuerError(
      'denomination-changed',
      `this chip was endorsed with ${formatAcorns(before)} acorns and keeps that`,
    );
  const issuer = keyId<AccountId>(publicKeyOf(issuerSecret));
  const { attestationKey } = request;
  const endorsement = signEndorsement(
    { chainId, ekId, denominationGrains, issuer, attestationKey },
    issuerSecret,
  );
  await log.append({ ekId, denominationGrains, akName, vouchedBy, atMs: nowMs });
  const secret = Uint8Array.from(randomBytes(32));
  const nonce = Uint8Array.from(randomBytes(NONCE_BYTES));
  const cipher = createCipheriv('aes-256-gcm', secret, nonce).setAAD(idBytes(ekId));
  const body = Buffer.concat([cipher.update(endorsement), cipher.final()]);
  const sealedEndorsement = concat(nonce, body, cipher.getAuthTag());
  return { chainId, ekId, sealedEndorsement, ...makeCredential(ekKey, akName, secret) };
}

/** The endorsement key of a request: an RSA-2048 key of the pinned template, so that one chip has one identity. */
function endorsementKeyOf({ endorsementKey }: EndorsementRequest): KeyObject {
  const refuse = () =>
    new IssuerError('endorsement-key', 'an RSA-2048 endorsement key of template L-1 expected');
  try {
    const area = parsePublicArea(endorsementKey, 'malformed');
    if (area.type !== 'rsa' || area.modulus.length !== 256) throw refuse();
    if (!equalBytes(endorsementKey, endorsementKeyArea(area.modulus))) throw refuse();
    return rsaKey(area.modulus, area.exponent);
  } catch (error) {
    if (error instanceof LedgerError) throw refuse();
    throw error;
  }
}

/** Who says that the chip is genuine. */
function vouch(request: EndorsementRequest, ekKey: KeyObject, policy: IssuerPolicy, nowMs: number): string {
  if (request.kind === 'software') {
    if (policy.chainKind === 'dev') return 'software';
    throw new IssuerError('software-refused', 'a software TPM counts on development networks only');
  }
  return checkEkCertificate(request.certificates, ekKey, policy.pinned, nowMs).subject.replaceAll('\n', ', ');
}

/**
 * The owner's second step: the chip opens the answer, 260 bytes for the claim. Throws TpmError, or IssuerError
 * `wrong-chip` and `bad-file`.
 */
export async function openAnswer(tpm: Tpm, answer: EndorsementAnswer): Promise<Uint8Array> {
  const { ekId } = await tpm.ek();
  if (answer.ekId !== ekId)
    throw new IssuerError(
      'wrong-chip',
      'the endorsement was made for another chip; ask for one with this chip',
    );
  const secret = await tpm.activate(answer.credential, answer.encryptedSecret);
  const changed = new IssuerError('bad-file', 'the endorsement was changed on its way; ask for it again');
  const endorsement = decryptEndorsement(answer, secret);
  if (endorsement === undefined) throw changed;
  const { chainId, ekId: endorsed } = parseEndorsement(endorsement);
  if (chainId !== answer.chainId || endorsed !== ekId) throw changed;
  return endorsement;
}

/** `undefined` when it is not what was encrypted with `secret`. */
function decryptEndorsement(
  { ekId, sealedEndorsement }: EndorsementAnswer,
  secret: Uint8Array,
): Uint8Array | undefined {
  const bodyEnd = sealedEndorsement.length - TAG_BYTES;
  try {
    const decipher = createDecipheriv('aes-256-gcm', secret, sealedEndorsement.subarray(0, NONCE_BYTES));
    decipher.setAAD(idBytes(ekId)).setAuthTag(sealedEndorsement.subarray(bodyEnd));
    const body = decipher.update(sealedEndorsement.subarray(NONCE_BYTES, bodyEnd));
    return Uint8Array.from(Buffer.concat([body, decipher.final()]));
  } catch {
    return undefined;
  }
}
