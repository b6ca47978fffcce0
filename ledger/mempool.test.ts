import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { encode } from './codec.ts';
import { grains } from './grains.ts';
import type { AccountId, ChainId } from './ids.ts';
import { MEMPOOL_LIFETIME_MS, Mempool } from './mempool.ts';
import { readerOver, stateKey } from './state/draft.ts';
import { ACCOUNTS } from './state/entities.ts';
import { encodeTransaction, type Transaction } from './transaction.ts';

const chainId = 'ab'.repeat(32) as ChainId;
const account = (n: number): AccountId => `02${String(n).padStart(64, '0')}` as AccountId;
/** The generator of the curve: a key that money can go to. */
const to = '0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798' as AccountId;
function transfer(sender: AccountId, nonce: number, fee: number): Transaction {
  const body = { kind: 'transfer', to, amountGrains: grains(1), memo: '' } as const;
  return { chainId, sender, nonce, feeGrains: grains(fee), body, signature: new Uint8Array(64) };
}

class State {
  readonly nonces = new Map<AccountId, number>();
  readonly asked: string[] = [];
  readonly reader = readerOver((key) => {
    this.asked.push(key);
    for (const [id, nonce] of this.nonces)
      if (stateKey(ACCOUNTS, id) === key)
        return encode(ACCOUNTS.codec, { balanceGrains: grains(10_000), nonce }, 'an account');
    return undefined;
  });
}

const sent = fc.array(
  fc.record({
    sender: fc.integer({ min: 0, max: 4 }).map(account),
    nonce: fc.integer({ min: 0, max: 6 }),
    fee: fc.integer({ min: 1, max: 500 }),
  }),
  { maxLength: 40 },
);

test('blocks are offered what is next of each account, in order, whatever came in whatever order', () => {
  fc.assert(
    fc.property(sent, fc.array(fc.nat(4), { minLength: 5, maxLength: 5 }), (list, after) => {
      const state = new State();
      for (let n = 0; n < 5; n++) state.nonces.set(account(n), 0);
      const pool = new Mempool();
      for (const { fee, nonce, sender } of list) {
        const transaction = transfer(sender, nonce, fee);
        pool.add(transaction, encodeTransaction(transaction), state.reader, 0);
      }
      // The ledger goes on; some of what waits is overtaken.
      for (let n = 0; n < 5; n++) state.nonces.set(account(n), after[n] ?? 0);
      const next = new Map(state.nonces);
      let first: bigint | undefined;
      for (const { transaction } of pool.inOrder(state.reader)) {
        assert.equal(transaction.nonce, next.get(transaction.sender));
        next.set(transaction.sender, transaction.nonce + 1);
        first ??= transaction.feeGrains;
      }
      const waiting = [...pool.all()].map(({ transaction }) => transaction);
      for (const { nonce, sender } of waiting) assert.ok(nonce !== next.get(sender), 'one was left out');
      assert.equal(pool.hasNext(state.reader), first !== undefined);
      pool.prune(state.reader, 1, state.nonces.keys());
      for (const { transaction } of pool.all())
        assert.ok(transaction.nonce >= (state.nonces.get(transaction.sender) ?? 0), 'one was overtaken');
      const left = waiting.filter(({ nonce, sender }) => nonce >= (state.nonces.get(sender) ?? 0));
      assert.equal(pool.size, left.length);
    }),
  );
});

test('the state is read of accounts whose turn comes, and of those whose transactions became final', () => {
  const state = new State();
  const pool = new Mempool();
  for (let n = 0; n < 100; n++) {
    const transaction = transfer(account(n), 0, 1_000 - n);
    state.nonces.set(account(n), 0);
    pool.add(transaction, encodeTransaction(transaction), state.reader, n);
  }
  state.asked.length = 0;
  const offered = pool.inOrder(state.reader);
  for (let n = 0; n < 3; n++) assert.equal(offered.next().value?.transaction.sender, account(n));
  assert.equal(state.asked.length, 3);
  assert.ok(pool.hasNext(state.reader));
  assert.equal(state.asked.length, 4);
  state.nonces.set(account(0), 1);
  assert.deepEqual(
    pool.prune(state.reader, MEMPOOL_LIFETIME_MS + 5, [account(0)]).map(({ addedMs }) => addedMs),
    [1, 2, 3, 4],
  );
  assert.equal(state.asked.length, 5);
  assert.equal(pool.size, 95);
});
