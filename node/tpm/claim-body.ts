import { sign } from '../../ledger/crypto/secp256k1.ts';
import type { ChainId } from '../../ledger/ids.ts';
import { type BodyOf, bindingDigest, type ClaimStatement } from '../../ledger/transaction.ts';
import type { Keys } from '../keys/keystore.ts';
import { makeClaimStatement } from './statement.ts';
import type { Tpm } from './tpm.ts';

type Binder = Pick<Keys, 'accountId' | 'nodeId' | 'nodeSecret'>;

/** The chip's quote and the node key's signature that tie this node and account to an endorsed chip. */
async function bind(
  tpm: Tpm,
  { accountId, nodeId, nodeSecret }: Binder,
  chainId: ChainId,
  endorsement: Uint8Array,
): Promise<ClaimStatement> {
  const { attest, signature } = await makeClaimStatement(tpm, chainId, nodeId, accountId);
  const nodeSignature = sign(bindingDigest(chainId, accountId, endorsement), nodeSecret);
  return { endorsement, attest, attestSignature: signature, nodeId, nodeSignature };
}

/** A claim ready for the wallet to send. `endorsement` is what `openAnswer` gave. Throws TpmError. */
export async function makeClaim(
  tpm: Tpm,
  keys: Binder,
  chainId: ChainId,
  endorsement: Uint8Array,
): Promise<BodyOf<'claim'>> {
  return { kind: 'claim', ...(await bind(tpm, keys, chainId, endorsement)) };
}

/** Binds a chip that the account owns to this machine's node key, as after a restore from words. Throws TpmError. */
export async function makeRebind(
  tpm: Tpm,
  keys: Binder,
  chainId: ChainId,
  endorsement: Uint8Array,
): Promise<BodyOf<'rebind'>> {
  const { ekId } = await tpm.ek();
  return { kind: 'rebind', ekId, ...(await bind(tpm, keys, chainId, endorsement)) };
}
