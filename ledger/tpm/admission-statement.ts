import { concat, equalBytes, u16, utf8 } from '../bytes.ts';
import { sha256 } from '../crypto/sha256.ts';
import { demand } from '../errors.ts';
import { type AccountId, type ChainId, type EkId, idBytes, type NodeId } from '../ids.ts';
import { ATTEST_BYTES_MAX, parseQuote } from './attest.ts';
import { ENDORSEMENT_BYTES, openEndorsement } from './endorsement.ts';
import { isLowSP256, verifyP256 } from './p256.ts';
import { checkAttestationKey } from './public-area.ts';
import { WireReader } from './wire.ts';

const TAG = concat(utf8('tpm-admission/1'), Uint8Array.of(0));

const SIGNATURE_BYTES = 64;

/**
 * What a chip quotes over to enter a connection: who proves, to whom, and the connection's TLS exporter value
 * (RFC 8446 §7.5), which no other connection has. A thief of a node's key cannot have its chip quote for him.
 */
export function admissionDigest(
  chainId: ChainId,
  proverId: NodeId,
  verifierId: NodeId,
  exporter: Uint8Array,
): Uint8Array {
  return sha256(TAG, idBytes(chainId), idBytes(proverId), idBytes(verifierId), exporter);
}

/** A chip's fresh proof that it is behind a connection. */
interface AdmissionStatement {
  /** 260 bytes: which chip, and its attestation key. */
  readonly endorsement: Uint8Array;
  readonly attest: Uint8Array;
  /** 64 bytes, low S. */
  readonly signature: Uint8Array;
}

/** endorsement 260 | u16 length + attest | signature 64. */
export function encodeAdmission({ endorsement, attest, signature }: AdmissionStatement): Uint8Array {
  return concat(endorsement, u16(attest.length), attest, signature);
}

/** Throws LedgerError `malformed`. */
export function decodeAdmission(bytes: Uint8Array): AdmissionStatement {
  const reader = new WireReader(bytes, 'malformed');
  const endorsement = reader.take(ENDORSEMENT_BYTES);
  const attest = reader.sized(ATTEST_BYTES_MAX);
  const signature = reader.take(SIGNATURE_BYTES);
  reader.end();
  return { endorsement, attest, signature };
}

/** The chip that proved to be behind a connection; that it is bound to the peer's key is the caller's to check. */
export function checkAdmission(
  { endorsement, attest, signature }: AdmissionStatement,
  chainId: ChainId,
  issuers: readonly AccountId[],
  digest: Uint8Array,
): EkId {
  const { ekId, attestationKey } = openEndorsement(endorsement, chainId, issuers);
  const { key, qualifiedName } = checkAttestationKey(attestationKey);
  const quote = parseQuote(attest);
  demand(equalBytes(quote.qualifiedSigner, qualifiedName), 'attest-signer', 'the quote is by another key');
  demand(equalBytes(quote.extraData, digest), 'attest-extra', 'the quote is for another connection');
  demand(isLowSP256(signature), 'attest-high-s', 'the quote signature must be 64 bytes with the lower S');
  demand(verifyP256(signature, attest, key), 'attest-signature', 'the chip did not sign this quote');
  return ekId;
}
