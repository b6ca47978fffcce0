import assert from 'node:assert/strict';
import { test } from 'node:test';
import { signerOf } from '../../../bench/ledger/prepared-ledger.ts';
import { signTransfer } from '../../../bench/ledger/transfers.ts';
import { toHex } from '../../../ledger/bytes.ts';
import { verify } from '../../../ledger/crypto/secp256k1.ts';
import { LedgerError } from '../../../ledger/errors.ts';
import type { ChainId, NodeId } from '../../../ledger/ids.ts';
import { idBytes } from '../../../ledger/ids.ts';
import { type Transaction, transactionDigest } from '../../../ledger/transaction.ts';
import { until } from '../../../test/support/until.ts';
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
    refusal: () => undefined,
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
  await until(() => new Set(admitted).size + refused.length >= 600, 10_000, 'everything to be taken');
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

test('of many, what is refused whoever signed it costs no signature', async () => {
  let checked = 0;
  const admitted: number[] = [];
  const { intake, refused } = open({
    refusal: ({ nonce }) => (nonce > 0 ? new LedgerError('bad-nonce', 'of another time') : undefined),
    admit({ transaction: { nonce } }) {
      if (nonce > 0) throw new LedgerError('bad-nonce', 'of another time');
      admitted.push(nonce);
    },
    signatureHolds: () => {
      checked++;
      return true;
    },
    signaturesHold: async (batch) => {
      checked += batch.length;
      return batch.map(() => true);
    },
  });
  for (let nonce = 60; nonce >= 0; nonce--) intake.add(peer, signed(nonce));
  await until(() => admitted.length === 1, 2_000, 'the one that is not refused');
  assert.deepEqual(admitted, [0]);
  // Those that were taken at once, and the good one.
  assert.equal(checked, 17);
  assert.deepEqual(new Set(refused), new Set(['bad-nonce']));
});

test('one that floods delays nobody else by more than a batch, and takes nobody the place', async () => {
  const [flooding, honest] = ['flooding', 'honest'] as [NodeId, NodeId];
  const order: NodeId[] = [];
  const { intake } = open({
    knows: () => false,
    signatureHolds: () => true,
    signaturesHold: async (batch) => batch.map(() => true),
    admit: ({ from }) => order.push(from),
  });
  const bytes = signed(1);
  for (let n = 0; n < 20_000; n++) intake.add(flooding, bytes);
  for (let n = 0; n < 20; n++) intake.add(honest, signed(n));
  await until(() => order.length >= 8_192, 10_000, 'all that waits to be taken');
  assert.equal(order.filter((from) => from === honest).length, 20);
  // Behind those that were taken at once, the batch under way and half of the next one.
  assert(order.lastIndexOf(honest) < 16 + 256 + 256, `the last at ${order.lastIndexOf(honest)}`);
});
