import type { AccountId, ChainId, NodeId } from '../../ledger/ids.ts';
import { claimDigest } from '../../ledger/tpm/claim-statement.ts';
import type { Tpm } from './tpm.ts';

/**
 * The owner's half of a claim or rebind: the chip's quote over chain, chip, node and account. `attest` is a
 * `TPMS_ATTEST`, `signature` 64 bytes with low S. Throws TpmError.
 */
export async function makeClaimStatement(
  tpm: Tpm,
  chainId: ChainId,
  nodeId: NodeId,
  accountId: AccountId,
): Promise<{ readonly attest: Uint8Array; readonly signature: Uint8Array }> {
  const { ekId } = await tpm.ek();
  return tpm.attest(claimDigest(chainId, ekId, nodeId, accountId));
}
