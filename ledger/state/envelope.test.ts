import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LedgerWorld, type Person } from '../../test/support/ledger-world.ts';
import { LedgerError, type LedgerErrorCode } from '../errors.ts';
import { grains } from '../grains.ts';
import type { ChainId } from '../ids.ts';
import { encodeTransaction, feeFloor, signTransaction, type UnsignedTransaction } from '../transaction.ts';
import { beginBlock } from './apply.ts';

/** What a block demands of every transaction, whatever it does. */

const BALANCE = 1_000_000_000_000n;
const world = new LedgerWorld(['payer', 'payee'], BALANCE, 10_000);
const [payer, payee] = world.people as readonly [Person, Person];
const { chainId, parameters } = world.rules;

const transfer: UnsignedTransaction = {
  chainId,
  sender: payer.accountId,
  nonce: 0,
  feeGrains: grains(0),
  body: { kind: 'transfer', to: payee.accountId, amountGrains: grains(1), memo: '' },
};
const size = encodeTransaction({ ...transfer, signature: new Uint8Array(64) }).length;
const floor = feeFloor(size, parameters.feeFloorGrainsPerKiB);

/** The code with which a block refuses a transaction, or that it takes it. */
function fate(changed: Partial<UnsignedTransaction>): LedgerErrorCode | 'taken' {
  const { height, timestampMs, proposer, parentId } = world.header;
  const block = { height: height + 1, parentId, timestampMs: timestampMs + 1, proposer };
  const transaction = signTransaction({ ...transfer, feeGrains: floor, ...changed }, payer.accountSecret);
  try {
    beginBlock(world.state, world.rules, block).add(transaction);
    return 'taken';
  } catch (error) {
    assert(error instanceof LedgerError);
    return error.code;
  }
}

test('the floor is enough of a fee, a grain less is not', () => {
  assert(floor > 0n);
  assert.equal(fate({}), 'taken');
  assert.equal(fate({ feeGrains: grains(floor - 1n) }), 'fee-too-low');
});

test('a transaction is for one chain, and for one place in the row of its sender', () => {
  assert.equal(fate({ chainId: 'ab'.repeat(32) as ChainId }), 'wrong-chain');
  assert.equal(fate({ nonce: 1 }), 'bad-nonce');
});

test('a fee that the sender does not have, or that leaves too little to send, is refused', () => {
  assert.equal(fate({ feeGrains: grains(BALANCE + 1n) }), 'insufficient-balance');
  assert.equal(fate({ feeGrains: grains(BALANCE) }), 'insufficient-balance');
});
