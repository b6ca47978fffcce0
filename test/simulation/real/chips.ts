import { createECDH, type ECDH } from 'node:crypto';
import { concat, fromHex, toHex, utf8 } from '../../../ledger/bytes.ts';
import { sign } from '../../../ledger/crypto/secp256k1.ts';
import { sha256 } from '../../../ledger/crypto/sha256.ts';
import type { Grains } from '../../../ledger/grains.ts';
import type { AccountId, ChainId } from '../../../ledger/ids.ts';
import { encodeQuote } from '../../../ledger/tpm/attest.ts';
import { claimDigest, SOFTWARE_FIRMWARE } from '../../../ledger/tpm/claim-statement.ts';
import { signEndorsement } from '../../../ledger/tpm/endorsement.ts';
import { toLowSP256 } from '../../../ledger/tpm/p256.ts';
import { attestationKeyArea, checkAttestationKey } from '../../../ledger/tpm/public-area.ts';
import { type BodyOf, bindingDigest } from '../../../ledger/transaction.ts';
import type { Person } from '../../support/ledger-world.ts';

/**
 * Software chips that make the same bytes each time, so that a seed gives the same blocks. All share one attestation key,
 * whose signatures have one nonce: good for nothing but this.
 */

const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

const number = (bytes: Uint8Array): bigint => BigInt(`0x${toHex(bytes)}`);
const scalar = (value: bigint): Uint8Array => fromHex(value.toString(16).padStart(64, '0')) as Uint8Array;

function keyPair(name: string): { readonly secret: bigint; readonly x: Uint8Array; readonly y: Uint8Array } {
  const secret = sha256(utf8(name));
  const ecdh: ECDH = createECDH('prime256v1');
  ecdh.setPrivateKey(secret);
  const point = Uint8Array.from(ecdh.getPublicKey());
  return { secret: number(secret), x: point.slice(1, 33), y: point.slice(33) };
}

/** a^(order − 2), which is 1 / a. */
function inverse(a: bigint): bigint {
  let result = 1n;
  let base = a;
  for (let exponent = ORDER - 2n; exponent > 0n; exponent >>= 1n) {
    if ((exponent & 1n) === 1n) result = (result * base) % ORDER;
    base = (base * base) % ORDER;
  }
  return result;
}

const attestationKey = keyPair('attestation key of the simulation');
const nonce = keyPair('nonce of the simulation');
const inverseOfNonce = inverse(nonce.secret);
const area = attestationKeyArea(attestationKey.x, attestationKey.y);

function signP256(message: Uint8Array): Uint8Array {
  const r = number(nonce.x) % ORDER;
  const s = (inverseOfNonce * (number(sha256(message)) + r * attestationKey.secret)) % ORDER;
  return toLowSP256(concat(scalar(r), scalar(s)));
}

/** The claim of a person's chip to an account, endorsed. */
export function claimOf(
  chip: Person,
  accountId: AccountId,
  by: {
    readonly chainId: ChainId;
    readonly denominationGrains: Grains;
    readonly issuer: AccountId;
    readonly issuerSecret: Uint8Array;
  },
): BodyOf<'claim'> {
  const { chainId, denominationGrains, issuer, issuerSecret } = by;
  const { ekId, nodeId, nodeSecret } = chip;
  const endorsement = signEndorsement(
    { chainId, ekId, denominationGrains, issuer, attestationKey: area },
    issuerSecret,
  );
  const attest = encodeQuote({
    qualifiedSigner: checkAttestationKey(area).qualifiedName,
    extraData: claimDigest(chainId, ekId, nodeId, accountId),
    clockMs: 0n,
    resetCount: 0,
    restartCount: 0,
    firmware: SOFTWARE_FIRMWARE,
  });
  return {
    kind: 'claim',
    endorsement,
    attest,
    attestSignature: signP256(attest),
    nodeId,
    nodeSignature: sign(bindingDigest(chainId, accountId, endorsement), nodeSecret),
  };
}
