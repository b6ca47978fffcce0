import assert from 'node:assert/strict';
import { test } from 'node:test';
import { utf8 } from './bytes.ts';
import { encode } from './codec.ts';
import { publicKeyOf } from './crypto/secp256k1.ts';
import { sha256 } from './crypto/sha256.ts';
import { grains } from './grains.ts';
import { type AccountId, keyId } from './ids.ts';
import { MEMPOOL_TRANSACTIONS_MAX, Mempool } from './mempool.ts';
import { readerOver } from './state/draft.ts';
import { ACCOUNTS } from './state/entities.ts';
import { encodeTransaction, type Transaction } from './transaction.ts';

test('a full pool refuses what pays no more without looking at everything that waits', () => {
  const row = encode(ACCOUNTS.codec, { balanceGrains: grains(10n ** 9n), nonce: 0 }, 'an account');
  let reads = 0;
  const state = readerOver((key) => {
    reads++;
    return key.startsWith('account/') ? row : undefined;
  });
  const pool = new Mempool();
  const add = (sender: AccountId, nonce: number): boolean => {
    const transaction: Transaction = {
      chainId: 'cc'.repeat(32) as Transaction['chainId'],
      sender,
      nonce,
      feeGrains: grains(1_000n),
      body: { kind: 'transfer', to: sender, amountGrains: grains(1n), memo: '' },
      signature: new Uint8Array(64),
    };
    return pool.add(transaction, encodeTransaction(transaction), state, 0).added;
  };
  // 318 accounts fill it, and not one grain of the fees is ever paid: nonce 0 is missing.
  const accounts = Array.from({ length: 400 }, (_, n) => keyId<AccountId>(publicKeyOf(sha256(utf8(`${n}`)))));
  for (const account of accounts)
    for (let nonce = 1; nonce < 64 && pool.size < MEMPOOL_TRANSACTIONS_MAX; nonce++) add(account, nonce);
  assert.equal(pool.size, MEMPOOL_TRANSACTIONS_MAX);
  // What one batch of gossip admits in one go.
  const late = accounts
    .slice(-4)
    .flatMap((account) => Array.from({ length: 63 }, (_, i) => [account, i + 1] as const));
  const before = reads;
  for (const [account, nonce] of late) assert.equal(add(account, nonce), false);
  // One row of the state for each, and nothing that grows with the pool.
  assert.equal(reads - before, late.length);
});
