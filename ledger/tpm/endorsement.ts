import { concat, u16, u64 } from '../bytes.ts';
import { sign, signingDigest, verify } from '../crypto/secp256k1.ts';
import { demand } from '../errors.ts';
import { type Grains, grains } from '../grains.ts';
import { type AccountId, type ChainId, type EkId, hashId, idBytes, keyId } from '../ids.ts';
import { WireReader } from './wire.ts';

export const ENDORSEMENT_BYTES = 260;
const AK_BYTES = 88;
const VERSION = 1;

/** An issuer's word that a chip is genuine, that this attestation key lives in it, and what it brings its owner. */
export interface Endorsement {
  readonly chainId: ChainId;
  readonly ekId: EkId;
  readonly denominationGrains: Grains;
  readonly issuer: AccountId;
  /** `TPMT_PUBLIC`, 88 bytes. */
  readonly attestationKey: Uint8Array;
}

/** version 1 | chainId 32 | ekId 32 | denomination u64 | issuer 33 | u16 length + attestation key 88. */
function unsigned(endorsement: Endorsement): Uint8Array {
  return concat(
    Uint8Array.of(VERSION),
    idBytes(endorsement.chainId),
    idBytes(endorsement.ekId),
    u64(endorsement.denominationGrains),
    idBytes(endorsement.issuer),
    u16(endorsement.attestationKey.length),
    endorsement.attestationKey,
  );
}

/** The 260 bytes, signed with the issuer's secret key (32 bytes), which must be that of `endorsement.issuer`. */
export function signEndorsement(endorsement: Endorsement, issuerSecret: Uint8Array): Uint8Array {
  demand(
    endorsement.attestationKey.length === AK_BYTES,
    'ak-encoding',
    `an attestation key of ${AK_BYTES} bytes expected`,
  );
  const bytes = unsigned(endorsement);
  return concat(bytes, sign(signingDigest('endorsement', bytes), issuerSecret));
}

/** Reads an endorsement; checks its form, not its signature. Throws `endorsement-version`, `endorsement-encoding`. */
export function parseEndorsement(bytes: Uint8Array): Endorsement {
  const reader = new WireReader(bytes, 'endorsement-encoding');
  demand(reader.u8() === VERSION, 'endorsement-version', `endorsement version ${VERSION} expected`);
  if (bytes.length !== ENDORSEMENT_BYTES)
    reader.refuse(`${ENDORSEMENT_BYTES} bytes expected, got ${bytes.length}`);
  const chainId = hashId<ChainId>(reader.take(32));
  const ekId = hashId<EkId>(reader.take(32));
  const denominationGrains = grains(reader.u64());
  const issuer = keyId<AccountId>(reader.take(33));
  if (reader.u16() !== AK_BYTES) reader.refuse(`an attestation key of ${AK_BYTES} bytes expected`);
  return { chainId, ekId, denominationGrains, issuer, attestationKey: reader.take(AK_BYTES).slice() };
}

/**
 * Reads an endorsement that one of `issuers` made for this chain. Throws LedgerError `endorsement-version`,
 * `endorsement-encoding`, `endorsement-chain`, `issuer-unknown` or `endorsement-signature`.
 */
export function openEndorsement(
  bytes: Uint8Array,
  chainId: ChainId,
  issuers: readonly AccountId[],
): Endorsement {
  const endorsement = parseEndorsement(bytes);
  demand(endorsement.chainId === chainId, 'endorsement-chain', 'the endorsement is for another chain');
  demand(
    issuers.includes(endorsement.issuer),
    'issuer-unknown',
    'the endorsement is by no issuer of this chain',
  );
  const at = ENDORSEMENT_BYTES - 64;
  const digest = signingDigest('endorsement', bytes.subarray(0, at));
  const genuine = verify(bytes.subarray(at), digest, idBytes(endorsement.issuer));
  demand(genuine, 'endorsement-signature', 'the issuer did not sign this endorsement');
  return endorsement;
}
