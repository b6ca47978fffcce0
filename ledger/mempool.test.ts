import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { encode } from './codec.ts';
import { grains } from './grains.ts';
import type { AccountId, ChainId } from './ids.ts';
import { MEMPOOL_LIFETIME_MS, MEMPOOL_TRANSACTIONS_MAX, Mempool } from './mempool.ts';
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

test('blocks are offered the dearest of what is next of each account, whatever came in whatever order', () => {
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
      const before = [...pool.all()].map(({ transaction }) => transaction);
      pool.prune(state.reader, 1, state.nonces.keys());
      const next = new Map(state.nonces);
      for (const { transaction } of pool.inOrder(state.reader)) {
        assert.equal(transaction.nonce, next.get(transaction.sender));
        for (const { transaction: other } of pool.all())
          if (other.nonce === next.get(other.sender)) assert(other.feeGrains <= transaction.feeGrains);
        next.set(transaction.sender, transaction.nonce + 1);
      }
      const waiting = [...pool.all()].map(({ transaction }) => transaction);
      for (const { nonce, sender } of waiting) assert.ok(nonce !== next.get(sender), 'one was left out');
      const heads = [...pool.heads(state.reader)].map(({ transaction }) => transaction);
      assert.ok(heads.every(({ nonce, sender }) => nonce === state.nonces.get(sender)));
      assert.equal(
        heads.length,
        [...next].filter(([id, nonce]) => nonce > (state.nonces.get(id) ?? 0)).length,
      );
      for (const { transaction } of pool.all())
        assert.ok(transaction.nonce >= (state.nonces.get(transaction.sender) ?? 0), 'one was overtaken');
      const left = before.filter(({ nonce, sender }) => nonce >= (state.nonces.get(sender) ?? 0));
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
  assert.equal(pool.heads(state.reader).next().done, false);
  assert.equal(state.asked.length, 4);
  state.nonces.set(account(0), 1);
  assert.deepEqual(
    pool.prune(state.reader, MEMPOOL_LIFETIME_MS + 5, [account(0)]).map(({ addedMs }) => addedMs),
    [1, 2, 3, 4],
  );
  assert.equal(state.asked.length, 5);
  assert.equal(pool.size, 95);
});

test('accounts that wait for a nonce cost nothing until it comes', () => {
  const state = new State();
  const pool = new Mempool();
  const send = (transaction: Transaction) =>
    pool.add(transaction, encodeTransaction(transaction), state.reader, 0);
  for (let n = 0; n < 100; n++) {
    state.nonces.set(account(n), 0);
    send(transfer(account(n), 1, 100));
  }
  state.asked.length = 0;
  assert.deepEqual([...pool.heads(state.reader)], []);
  assert.deepEqual([...pool.inOrder(state.reader)], []);
  assert.deepEqual(state.asked, []);
  send(transfer(account(7), 0, 100));
  const nonces = [...pool.inOrder(state.reader)].map(({ transaction }) => transaction.nonce);
  assert.deepEqual(nonces, [0, 1]);
  // Another node's block brought what this one did not have.
  state.nonces.set(account(8), 1);
  pool.prune(state.reader, 0, [account(8)]);
  const senders = new Set([...pool.inOrder(state.reader)].map(({ transaction }) => transaction.sender));
  assert.deepEqual(senders, new Set([account(7), account(8)]));
});

test('an account does not promise more fees than it has, also when its balance shrinks', () => {
  let balance = 1_000;
  let nonce = 0;
  const state = readerOver(() =>
    encode(ACCOUNTS.codec, { balanceGrains: grains(balance), nonce }, 'an account'),
  );
  const pool = new Mempool();
  const add = (at: number, fee: number) => {
    const transaction = transfer(account(1), at, fee);
    return pool.add(transaction, encodeTransaction(transaction), state, 0);
  };
  for (let n = 0; n < 10; n++) assert(add(n, 100).added, `the one with nonce ${n}`);
  const [tenth, dearer] = [add(10, 1), add(9, 200)];
  assert.equal(tenth.added || tenth.error.code, 'insufficient-balance');
  assert.equal(dearer.added || dearer.error.code, 'insufficient-balance');
  assert.equal(pool.size, 10);
  nonce = 1;
  balance = 450;
  pool.prune(state, 0, [account(1)]);
  assert.deepEqual(
    [...pool.inOrder(state)].map(({ transaction }) => transaction.nonce),
    [1, 2, 3, 4],
  );
});

test('what no block can take keeps nobody out of a full pool, whatever fee it names', () => {
  const row = encode(ACCOUNTS.codec, { balanceGrains: grains(10n ** 9n), nonce: 0 }, 'an account');
  const state = readerOver(() => row);
  const full = (): { pool: Mempool; add(n: number, nonce: number, fee: number): boolean } => {
    const pool = new Mempool();
    const add = (n: number, nonce: number, fee: number): boolean => {
      const transaction = transfer(account(n), nonce, fee);
      return pool.add(transaction, encodeTransaction(transaction), state, 0).added;
    };
    return { pool, add };
  };
  const HONEST = 1_000_000;

  const gaps = full();
  for (let n = 0; gaps.pool.size < MEMPOOL_TRANSACTIONS_MAX; n++)
    for (let nonce = 1; nonce < 64; nonce++) gaps.add(n, nonce, nonce === 63 ? 1_000_000 : 10_000);
  assert(!gaps.add(HONEST, 1, 100), 'what waits for another makes no room for itself');
  for (let n = 0; n < 500; n++) assert(gaps.add(HONEST + n, 0, 100));
  assert.equal(gaps.pool.size, MEMPOOL_TRANSACTIONS_MAX);

  const invalid = full();
  for (let n = 0; invalid.pool.size < MEMPOOL_TRANSACTIONS_MAX; n++)
    for (let nonce = 0; nonce < 64; nonce++) invalid.add(n, nonce, 10_000);
  assert(!invalid.add(HONEST, 0, 100));
  for (const pooled of [...invalid.pool.all()])
    if (pooled.transaction.nonce === 0) invalid.pool.setBack(pooled);
  for (let n = 0; n < 500; n++) assert(invalid.add(HONEST + n, 0, 100));
  // Who takes back what nobody could take goes on.
  assert(invalid.add(0, 0, 20_000));

  const ready = full();
  for (let n = 0; n < MEMPOOL_TRANSACTIONS_MAX; n++) ready.add(n, 0, 1_000 + n);
  assert(!ready.add(HONEST, 0, 1_000));
  assert(!ready.add(HONEST, 1, 50_000), 'a nonce that is not its turn');
  assert(ready.add(HONEST, 0, 1_001));
  assert.equal(ready.pool.nextNonce(account(0), 0), 0, 'the cheapest left');
});

test('a replacement that finds no room leaves what it was to replace', () => {
  const row = encode(ACCOUNTS.codec, { balanceGrains: grains(10n ** 12n), nonce: 0 }, 'an account');
  const pool = new Mempool();
  const add = (n: number, fee: number, nonce = 0): boolean => {
    const transaction = transfer(account(n), nonce, fee);
    return pool.add(
      transaction,
      encodeTransaction(transaction),
      readerOver(() => row),
      0,
    ).added;
  };
  for (let n = 0; n < MEMPOOL_TRANSACTIONS_MAX; n++) assert(add(n, 1_000));
  assert(!add(7, 1_050));
  assert(add(7, 1_200), 'a replacement needs no room');
  assert(!add(7, 1_300));
  assert.equal(pool.nextNonce(account(7), 0), 1);
  assert.equal(pool.size, MEMPOOL_TRANSACTIONS_MAX);
});
