import { concat, equalBytes, u16, utf8 } from '../bytes.ts';
import { sha256 } from '../crypto/sha256.ts';
import { demand } from '../errors.ts';
import type { Grains } from '../grains.ts';
import { type AccountId, type ChainId, type EkId, idBytes, type NodeId } from '../ids.ts';
import { parseQuote } from './attest.ts';
import { openEndorsement } from './endorsement.ts';
import { isLowSP256, verifyP256 } from './p256.ts';
import { checkAttestationKey } from './public-area.ts';

const TAG = concat(utf8('tpm-claim/1'), Uint8Array.of(0));

/**
 * The firmware number of the software TPM ("software" in ASCII). It marks honest use: the driver that makes it says
 * what it is. Nobody gets a forged one endorsed on a public chain, since no manufacturer certified its key.
 */
export const SOFTWARE_FIRMWARE = 0x736f_6674_7761_7265n;

/** What the owner's TPM quotes over to claim or rebind: 32 bytes, every field of fixed or stated length. */
export function claimDigest(chainId: ChainId, ekId: EkId, nodeId: NodeId, accountId: AccountId): Uint8Array {
  const account = idBytes(accountId);
  return sha256(TAG, idBytes(chainId), idBytes(ekId), idBytes(nodeId), u16(account.length), account);
}

/** A claim or rebind and the chain that judges it. */
export interface ClaimStatementInput {
  readonly chainId: ChainId;
  /** Only a `dev` chain takes the software TPM. */
  readonly chainKind: 'public' | 'dev';
  readonly issuers: readonly AccountId[];
  readonly nodeId: NodeId;
  readonly accountId: AccountId;
  /** 260 bytes. */
  readonly endorsement: Uint8Array;
  /** `TPMS_ATTEST` of a quote over `claimDigest`. */
  readonly attest: Uint8Array;
  /** r ‖ s of the attestation key over `attest`, 64 bytes, low S. */
  readonly signature: Uint8Array;
}

/** What a statement that holds says. */
interface CheckedClaim {
  readonly ekId: EkId;
  readonly denominationGrains: Grains;
  readonly akName: Uint8Array;
}

/**
 * Everything about a claim or rebind that can be judged without state and without a TPM: a genuine issuer endorsed the
 * chip for this chain, the attestation key is one that only signs what its TPM made, and that TPM just quoted over
 * this chain, chip, node and account. That the chip was never claimed is the caller's to check. Throws LedgerError
 * `endorsement-*`, `issuer-unknown`, `ak-*`, `attest-*` or `software-tpm-refused`.
 */
export function checkClaimStatement(input: ClaimStatementInput): CheckedClaim {
  const { chainId, nodeId, accountId, attest, signature } = input;
  const endorsement = openEndorsement(input.endorsement, chainId, input.issuers);
  const attestationKey = checkAttestationKey(endorsement.attestationKey);
  const quote = parseQuote(attest);
  demand(
    equalBytes(quote.qualifiedSigner, attestationKey.qualifiedName),
    'attest-signer',
    'the quote is not by the endorsed attestation key',
  );
  demand(
    equalBytes(quote.extraData, claimDigest(chainId, endorsement.ekId, nodeId, accountId)),
    'attest-extra',
    'the quote is for another chain, chip, node or account',
  );
  demand(signature.length === 64, 'attest-signature', 'a quote signature of 64 bytes expected');
  demand(isLowSP256(signature), 'attest-high-s', 'the quote signature must have the lower S');
  demand(
    verifyP256(signature, attest, attestationKey.key),
    'attest-signature',
    'the attestation key did not sign this quote',
  );
  demand(
    input.chainKind === 'dev' || quote.firmware !== SOFTWARE_FIRMWARE,
    'software-tpm-refused',
    'a software TPM counts on development networks only; use a real TPM 2.0',
  );
  return {
    ekId: endorsement.ekId,
    denominationGrains: endorsement.denominationGrains,
    akName: attestationKey.name,
  };
}
