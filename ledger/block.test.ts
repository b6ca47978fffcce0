import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  type Block,
  decodeBlock,
  encodeBlock,
  transactionAt,
  transactionCountOf,
  txRootOf,
} from './block.ts';
import { grains } from './grains.ts';
import type { AccountId, BlockId, ChainId, Hash, NodeId } from './ids.ts';
import { encodeTransaction, type Transaction } from './transaction.ts';

const KEY = '0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798';
const HASH = 'ab'.repeat(32);

function blockOf(memos: readonly string[]): Block {
  const transactions = memos.map(
    (memo, nonce): Transaction => ({
      chainId: HASH as ChainId,
      sender: KEY as AccountId,
      nonce,
      feeGrains: grains(100),
      body: { kind: 'transfer', to: KEY as AccountId, amountGrains: grains(1), memo },
      signature: new Uint8Array(64).fill(1),
    }),
  );
  return {
    header: {
      chainId: HASH as ChainId,
      epoch: 0,
      view: 1,
      height: 1,
      parentId: HASH as BlockId,
      timestampMs: 1,
      proposer: KEY as NodeId,
      txRoot: txRootOf(transactions.map(encodeTransaction)),
      stateRoot: HASH as Hash,
      nextCommitteeHash: HASH as Hash,
    },
    transactions,
  };
}

test('one transaction, and how many there are, is read from a block without the rest of it', () => {
  const memo = fc.string({ unit: 'grapheme-ascii', maxLength: 64 });
  fc.assert(
    fc.property(fc.array(memo, { maxLength: 12 }), fc.nat(3), (memos, offset) => {
      const encoded = encodeBlock(blockOf(memos));
      // As it may stand in the memory of a database: somewhere in a larger piece.
      const within = new Uint8Array(offset + encoded.length + 5);
      within.set(encoded, offset);
      const bytes = within.subarray(offset, offset + encoded.length);
      const { transactions } = decodeBlock(bytes);
      assert.equal(transactionCountOf(bytes), transactions.length);
      for (const [i, transaction] of transactions.entries())
        assert.deepEqual(transactionAt(bytes, i), transaction);
      assert.equal(transactionAt(bytes, transactions.length), undefined);
      assert.equal(transactionAt(bytes, -1), undefined);
    }),
  );
});
