import assert from 'node:assert/strict';
import { test } from 'node:test';
import { utf8 } from './bytes.ts';
import { encode } from './codec.ts';
import { publicKeyOf } from './crypto/secp256k1.ts';
import { sha256 } from './crypto/sha256.ts';
import { grains } from './grains.ts';
import { type AccountId, keyId } from './ids.ts';
import { MEMPOOL_BYTES_MAX, MEMPOOL_TRANSACTIONS_MAX, Mempool } from './mempool.ts';
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

test('what a full pool refuses takes nothing out of it: not what it was to replace, nor what is cheaper', () => {
  const row = encode(ACCOUNTS.codec, { balanceGrains: grains(10n ** 9n), nonce: 0 }, 'an account');
  const state = readerOver(() => row);
  const pool = new Mempool();
  const add = (n: number, fee: bigint, bytes: number): string | undefined => {
    const sender = keyId<AccountId>(publicKeyOf(sha256(utf8(`${n}`))));
    const transaction: Transaction = {
      chainId: 'cc'.repeat(32) as Transaction['chainId'],
      sender,
      nonce: 0,
      feeGrains: grains(fee),
      body: { kind: 'transfer', to: sender, amountGrains: grains(1n), memo: '' },
      signature: new Uint8Array(64),
    };
    const result = pool.add(transaction, new Uint8Array(bytes), state, 0);
    return result.added ? undefined : result.error.code;
  };
  const piece = MEMPOOL_BYTES_MAX / 8;
  for (let n = 0; n < 7; n++) assert.equal(add(n, 1_000n, piece), undefined);
  assert.equal(add(7, 100n, 10), undefined);
  assert.equal(add(8, 200n, piece - 10), undefined);
  // Dearer than what it replaces and than the other cheap one, but there is no room for it even without both.
  assert.equal(add(7, 500n, 3 * piece), 'fee-too-low');
  const waiting = [...pool.heads(state)].map(({ transaction }) => Number(transaction.feeGrains));
  assert.deepEqual(
    waiting.sort((a, b) => a - b),
    [100, 200, ...Array.from({ length: 7 }, () => 1_000)],
  );
  assert.equal(add(7, 500n, piece), undefined);
  assert.equal(pool.size, 8);
});
