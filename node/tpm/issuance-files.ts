import { fromHex, toHex } from '../../ledger/bytes.ts';
import type { ChainId, EkId } from '../../ledger/ids.ts';
import type { Credential } from './credential.ts';
import { IssuerError } from './issuer-error.ts';

/**
 * The two small files of an endorsement, as JSON that a person can look at, mail, or send over HTTPS:
 * the owner's request, and the issuer's answer that only the requesting chip can open.
 */
export const REQUEST_FORMAT = 'blocktree tpm request 1';
export const ANSWER_FORMAT = 'blocktree tpm endorsement 1';

/** Longest file of either kind that is read. */
export const ISSUANCE_FILE_BYTES_MAX = 65_536;
const CERTIFICATES_MAX = 4;

/** A chip asks to be endorsed for a chain. */
export interface EndorsementRequest {
  readonly chainId: ChainId;
  readonly kind: 'tpm2' | 'software';
  /** `TPMT_PUBLIC` of the endorsement key. */
  readonly endorsementKey: Uint8Array;
  /** `TPMT_PUBLIC` of the attestation key. */
  readonly attestationKey: Uint8Array;
  /** DER: the chip's certificate first, then any that lead to a root. Empty for a software TPM. */
  readonly certificates: readonly Uint8Array[];
}

/** The endorsement, encrypted under a secret that ActivateCredential reveals in that chip alone. */
export interface EndorsementAnswer extends Credential {
  readonly chainId: ChainId;
  readonly ekId: EkId;
  /** nonce 12 | ciphertext 260 | GCM tag 16. */
  readonly sealedEndorsement: Uint8Array;
}

type Fields = Record<string, unknown>;

/** The JSON of a file. Throws IssuerError `bad-file`. */
function parseJson(text: string): unknown {
  if (text.length > ISSUANCE_FILE_BYTES_MAX)
    throw new IssuerError('bad-file', `the file is longer than ${ISSUANCE_FILE_BYTES_MAX} bytes`);
  try {
    return JSON.parse(text);
  } catch {
    throw new IssuerError('bad-file', 'the file is not JSON');
  }
}

function fieldsOf(value: unknown, format: string): Fields {
  if (typeof value !== 'object' || value === null || (value as Fields).format !== format)
    throw new IssuerError('bad-file', `a "${format}" file expected`);
  return value as Fields;
}

function bytesOf(value: unknown, name: string, least: number, most: number): Uint8Array {
  const bytes = typeof value === 'string' ? fromHex(value) : undefined;
  if (bytes === undefined || bytes.length < least || bytes.length > most)
    throw new IssuerError('bad-file', `"${name}" must be ${least} to ${most} bytes in hex`);
  return bytes;
}

const idOf = (value: unknown, name: string) => toHex(bytesOf(value, name, 32, 32));

/** A request as the text of a file, JSON. */
export function formatRequest(request: EndorsementRequest): string {
  const { chainId, kind } = request;
  const file = {
    format: REQUEST_FORMAT,
    chainId,
    kind,
    endorsementKey: toHex(request.endorsementKey),
    attestationKey: toHex(request.attestationKey),
    certificates: request.certificates.map(toHex),
  };
  return `${JSON.stringify(file, undefined, 2)}\n`;
}

/** Throws IssuerError `bad-file`. */
export function parseRequest(text: string): EndorsementRequest {
  return readRequest(parseJson(text));
}

/** A request from its JSON value. Throws IssuerError `bad-file`. */
export function readRequest(value: unknown): EndorsementRequest {
  const fields = fieldsOf(value, REQUEST_FORMAT);
  const { kind, certificates } = fields;
  if (kind !== 'tpm2' && kind !== 'software')
    throw new IssuerError('bad-file', '"kind" must be tpm2 or software');
  if (!Array.isArray(certificates) || certificates.length > CERTIFICATES_MAX)
    throw new IssuerError('bad-file', `"certificates" must be a list of at most ${CERTIFICATES_MAX}`);
  return {
    chainId: idOf(fields.chainId, 'chainId') as ChainId,
    kind,
    endorsementKey: bytesOf(fields.endorsementKey, 'endorsementKey', 1, 1_024),
    attestationKey: bytesOf(fields.attestationKey, 'attestationKey', 1, 256),
    certificates: certificates.map((der: unknown) => bytesOf(der, 'certificates', 1, 4_096)),
  };
}

/** The JSON value of an answer. */
export function writeAnswer(answer: EndorsementAnswer) {
  const { chainId, ekId } = answer;
  return {
    format: ANSWER_FORMAT as typeof ANSWER_FORMAT,
    chainId,
    ekId,
    credential: toHex(answer.credential),
    encryptedSecret: toHex(answer.encryptedSecret),
    sealedEndorsement: toHex(answer.sealedEndorsement),
  };
}

/** An answer as the text of a file, JSON. */
export function formatAnswer(answer: EndorsementAnswer): string {
  return `${JSON.stringify(writeAnswer(answer), undefined, 2)}\n`;
}

/** Throws IssuerError `bad-file`. */
export function parseAnswer(text: string): EndorsementAnswer {
  const fields = fieldsOf(parseJson(text), ANSWER_FORMAT);
  return {
    chainId: idOf(fields.chainId, 'chainId') as ChainId,
    ekId: idOf(fields.ekId, 'ekId') as EkId,
    credential: bytesOf(fields.credential, 'credential', 1, 256),
    encryptedSecret: bytesOf(fields.encryptedSecret, 'encryptedSecret', 256, 256),
    sealedEndorsement: bytesOf(fields.sealedEndorsement, 'sealedEndorsement', 288, 288),
  };
}
