import type { KeyObject } from 'node:crypto';
import { concat, u16, u32 } from '../bytes.ts';
import { sha256 } from '../crypto/sha256.ts';
import { demand, type LedgerErrorCode } from '../errors.ts';
import { AK_ATTRIBUTES, ALG, CURVE_P256, HANDLE } from './constants.ts';
import { p256Key } from './p256.ts';
import { sized, WireReader } from './wire.ts';

interface CommonArea {
  readonly nameAlg: number;
  readonly attributes: number;
  readonly policy: Uint8Array;
  readonly scheme: number;
  /** 0 when the scheme is null. */
  readonly schemeHash: number;
  /** The `TPMT_PUBLIC` as it was read. */
  readonly bytes: Uint8Array;
}

/** A TPM's public area (`TPMT_PUBLIC`, Part 2 §12.2.4) of the two key types that matter here. */
export type PublicArea =
  | (CommonArea & {
      readonly type: 'ecc';
      readonly curve: number;
      readonly x: Uint8Array;
      readonly y: Uint8Array;
    })
  | (CommonArea & {
      readonly type: 'rsa';
      readonly bits: number;
      /** 65,537 where the area holds 0, which stands for it. */
      readonly exponent: number;
      readonly modulus: Uint8Array;
    });

/** Reads a `TPMT_PUBLIC`. Throws LedgerError `code` for anything but one ECC or RSA area, whole. */
export function parsePublicArea(bytes: Uint8Array, code: LedgerErrorCode): PublicArea {
  const reader = new WireReader(bytes, code);
  const type = reader.u16();
  if (type !== ALG.ecc && type !== ALG.rsa)
    reader.refuse(`a key of type 0x${type.toString(16)} is not known`);
  const nameAlg = reader.u16();
  const attributes = reader.u32();
  const policy = reader.sized(64);
  if (reader.u16() !== ALG.null) reader.take(4);
  const scheme = reader.u16();
  const schemeHash = scheme === ALG.null ? 0 : reader.u16();
  const common = { nameAlg, attributes, policy, scheme, schemeHash, bytes };
  let area: PublicArea;
  if (type === ALG.ecc) {
    const curve = reader.u16();
    if (reader.u16() !== ALG.null) reader.take(2);
    area = { type: 'ecc', ...common, curve, x: reader.sized(66), y: reader.sized(66) };
  } else {
    const bits = reader.u16();
    area = { type: 'rsa', ...common, bits, exponent: reader.u32() || 65_537, modulus: reader.sized(512) };
  }
  reader.end();
  return area;
}

/** The `TPMT_PUBLIC` of an attestation key at (x, y); both empty gives the template that a TPM makes one from. */
export function attestationKeyArea(x: Uint8Array, y: Uint8Array): Uint8Array {
  return concat(
    u16(ALG.ecc),
    u16(ALG.sha256),
    u32(AK_ATTRIBUTES),
    u16(0),
    u16(ALG.null),
    u16(ALG.ecdsa),
    u16(ALG.sha256),
    u16(CURVE_P256),
    u16(ALG.null),
    sized(x),
    sized(y),
  );
}

/** The name of an object whose name algorithm is SHA-256: 000b ‖ sha256(TPMT_PUBLIC). 34 bytes. */
export function objectName(publicArea: Uint8Array): Uint8Array {
  return concat(u16(ALG.sha256), sha256(publicArea));
}

/** The qualified name of a primary object below a hierarchy: 000b ‖ sha256(hierarchy ‖ name). */
function primaryQualifiedName(hierarchy: number, name: Uint8Array): Uint8Array {
  return concat(u16(ALG.sha256), sha256(u32(hierarchy), name));
}

/** An attestation key that passed every rule. */
interface AttestationKey {
  readonly name: Uint8Array;
  /** What a quote by it must carry: its name below the endorsement hierarchy. */
  readonly qualifiedName: Uint8Array;
  readonly key: KeyObject;
}

/**
 * Reads and checks an attestation key: P-256, ECDSA with SHA-256, attributes exactly `AK_ATTRIBUTES`, no policy.
 * Throws LedgerError `ak-encoding`, `ak-type`, `ak-attributes`, `ak-policy`, `ak-scheme` or `ak-point`.
 */
export function checkAttestationKey(publicArea: Uint8Array): AttestationKey {
  const area = parsePublicArea(publicArea, 'ak-encoding');
  demand(area.type === 'ecc', 'ak-type', 'the attestation key must be an elliptic-curve key');
  demand(
    area.attributes === AK_ATTRIBUTES,
    'ak-attributes',
    `attestation key attributes must be 0x${AK_ATTRIBUTES.toString(16).padStart(8, '0')}, got 0x${area.attributes.toString(16).padStart(8, '0')}`,
  );
  demand(area.policy.length === 0, 'ak-policy', 'the attestation key must have no policy');
  const rightScheme =
    area.nameAlg === ALG.sha256 &&
    area.curve === CURVE_P256 &&
    area.scheme === ALG.ecdsa &&
    area.schemeHash === ALG.sha256;
  demand(rightScheme, 'ak-scheme', 'the attestation key must be P-256 with ECDSA and SHA-256');
  const coordinates = area.x.length === 32 && area.y.length === 32;
  const key = coordinates ? p256Key(area.x, area.y) : undefined;
  demand(key !== undefined, 'ak-point', 'the attestation key is not a point of P-256');
  const name = objectName(publicArea);
  return { name, qualifiedName: primaryQualifiedName(HANDLE.endorsement, name), key };
}
