import assert from 'node:assert/strict';
import { test } from 'node:test';
import { signerOf } from '../../bench/ledger/prepared-ledger.ts';
import { signTransfer } from '../../bench/ledger/transfers.ts';
import { toHex } from '../../ledger/bytes.ts';
import { verify } from '../../ledger/crypto/secp256k1.ts';
import type { ChainId, NodeId } from '../../ledger/ids.ts';
import { idBytes } from '../../ledger/ids.ts';
import { type Transaction, transactionDigest } from '../../ledger/transaction.ts';
import { until } from '../../test/support/until.ts';
import { GossipIntake, type GossipOptions } from './gossip-intake.ts';

const chainId = 'ab'.repeat(32) as ChainId;
const peer = 'peer' as NodeId;
const sender = signerOf(1);
const signed = (nonce: number): Uint8Array =>
  signTransfer(chainId, sender, nonce, signerOf(2).accountId).bytes;
function forged(nonce: number): Uint8Array {
  const bytes = signed(nonce).slice();
  bytes[bytes.length - 40] = (bytes.at(-40) ?? 0) ^ 1;
  return bytes;
}
const holds = ({ signature, sender: from }: Transaction, bytes: Uint8Array): boolean =>
  verify(signature, transactionDigest(bytes), idBytes(from));

function open(options: Partial<GossipOptions> = {}) {
  const admitted: number[] = [];
  const known = new Set<string>();
  const refused: string[] = [];
  const batches: number[] = [];
  const intake = new GossipIntake({
    knows: (bytes) => known.has(toHex(bytes)),
    signatureHolds: holds,
    signaturesHold: async (batch) => {
      batches.push(batch.length);
      return batch.map(({ transaction, bytes }) => holds(transaction, bytes));
    },
    admit({ transaction, bytes }) {
      known.add(toHex(bytes));
      admitted.push(transaction.nonce);
    },
    refused: (_, { code }) => refused.push(code),
    failed: (error) => assert.fail(String(error)),
    ...options,
  });
  return { intake, admitted, refused, batches };
}

test('a few are there at once, so that a proposal right behind them finds them', () => {
  const { admitted, batches, intake, refused } = open();
  for (let nonce = 0; nonce < 5; nonce++) intake.add(peer, signed(nonce));
  intake.add(peer, forged(5));
  intake.add(peer, Uint8Array.of(1, 2, 3));
  intake.add(peer, signed(0));
  assert.deepEqual(admitted, [0, 1, 2, 3, 4]);
  assert.deepEqual(refused, ['bad-signature', 'malformed']);
  assert.deepEqual(batches, []);
});

test('many are verified in batches; forged ones and nonsense among them cost the others nothing', async () => {
  const { admitted, batches, intake, refused } = open();
  const expected: number[] = [];
  for (let nonce = 0; nonce < 600; nonce++) {
    if (nonce % 50 === 49) intake.add(peer, nonce % 100 === 99 ? forged(nonce) : Uint8Array.of(nonce & 255));
    else {
      intake.add(peer, signed(nonce));
      intake.add(peer, signed(nonce));
      expected.push(nonce);
    }
  }
  await until(() => admitted.length + refused.length >= 600, 10_000, 'everything to be taken');
  assert.deepEqual([...new Set(admitted)], expected, 'in the order in which they came');
  assert.equal(refused.length, 12);
  assert.ok(batches.length > 1 && Math.max(...batches) <= 256, `batches of ${batches}`);
});

test('what waits is bounded, and a verifier that fails stops nothing for good', async () => {
  const failures: unknown[] = [];
  let breaks = true;
  const { admitted, intake } = open({
    signaturesHold: (batch) =>
      breaks ? Promise.reject(new Error('broken')) : Promise.resolve(batch.map(() => true)),
    failed: (error) => failures.push(error),
  });
  const bytes = signed(7);
  for (let n = 0; n < 20_000; n++) intake.add(peer, n < 16 ? signed(n + 100) : bytes);
  await until(() => failures.length === 1, 10_000, 'the failure to be told');
  assert.equal(admitted.length, 16);
  breaks = false;
  const again = (): boolean => {
    intake.add(peer, bytes);
    return admitted.length >= 17;
  };
  await until(again, 10_000, 'it to go on');
});
