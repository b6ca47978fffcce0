import { grains } from '../../ledger/grains.ts';
import type { AccountId, ChainId } from '../../ledger/ids.ts';
import { encodeTransaction, signTransaction, type Transaction } from '../../ledger/transaction.ts';
import type { Signer } from './prepared-ledger.ts';

/** Signed transfers, as a wallet makes them. */

export interface SignedTransfer {
  readonly transaction: Transaction;
  readonly bytes: Uint8Array;
}

/** One transfer of one grain with the least fee. */
export function signTransfer(
  chainId: ChainId,
  from: Signer,
  nonce: number,
  to: AccountId,
  feeGrains = 100n,
): SignedTransfer {
  const transaction = signTransaction(
    {
      chainId,
      sender: from.accountId,
      nonce,
      feeGrains: grains(feeGrains),
      body: { kind: 'transfer', to, amountGrains: grains(1), memo: '' },
    },
    from.secret,
  );
  return { transaction, bytes: encodeTransaction(transaction) };
}
