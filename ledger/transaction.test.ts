import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { person } from '../test/support/ledger-world.ts';
import {
  type BlockHeader,
  blockIdOf,
  decodeBlock,
  decodeHeader,
  encodeBlock,
  encodeHeader,
  txRootOf,
} from './block.ts';
import { fromHex, toHex } from './bytes.ts';
import { nativeSigner, nobleSigner } from './crypto/secp256k1.ts';
import { LedgerError } from './errors.ts';
import { grains } from './grains.ts';
import {
  type AccountId,
  accountAddress,
  type BlockId,
  type ChainId,
  type ContractId,
  type EkId,
  type Hash,
  type NodeId,
  nodeAddress,
  parseAccountAddress,
  parseNodeAddress,
} from './ids.ts';
import {
  decodeTransaction,
  encodeTransaction,
  signTransaction,
  type TransactionBody,
  transactionId,
} from './transaction.ts';

const alice = person('alice');
const bob = person('bob');
const bytes = (length: number, fill: number) => new Uint8Array(length).fill(fill);
const hash = (fill: string) => fill.repeat(64).slice(0, 64);
const chainId = hash('ab') as ChainId;
const statement = {
  endorsement: bytes(260, 1),
  attest: bytes(139, 2),
  attestSignature: bytes(64, 3),
  nodeId: alice.nodeId,
  nodeSignature: bytes(64, 4),
};
const offer = {
  priceGrainsPerGiBPeriod: grains(7),
  egressGrainsPerGiB: grains(8),
  collateralPercent: 50,
  freeBytes: 1_000,
  periodsMin: 1,
  periodsMax: 9,
};

const BODIES: readonly TransactionBody[] = [
  { kind: 'claim', ...statement },
  { kind: 'rebind', ekId: hash('cd') as EkId, ...statement },
  { kind: 'transfer', to: bob.accountId, amountGrains: grains(2n ** 64n - 1n), memo: 'für 漢' },
  {
    kind: 'announce',
    nodeId: alice.nodeId,
    addresses: ['node.example:7000', '[::1]:7000'],
    storageOffer: offer,
  },
  { kind: 'announce', nodeId: alice.nodeId, addresses: [], storageOffer: undefined },
  {
    kind: 'storage.open',
    hostNodeId: bob.nodeId,
    priceGrainsPerGiBPeriod: grains(5),
    egressGrainsPerGiB: grains(6),
    root: hash('12') as Hash,
    leafCount: 1_024,
    startPeriod: 3,
    endPeriod: 9,
    escrowGrains: grains(100),
    collateralGrains: grains(50),
    hostSignature: bytes(64, 5),
  },
  {
    kind: 'storage.revise',
    contractId: hash('34') as ContractId,
    revision: 2,
    root: hash('56') as Hash,
    leafCount: 2_048,
    endPeriod: 12,
    addedEscrowGrains: grains(1),
    addedCollateralGrains: grains(0),
    hostSignature: bytes(64, 6),
  },
  {
    kind: 'storage.settle',
    contractId: hash('34') as ContractId,
    throughPeriod: 4,
    evidence: { kind: 'receipt', revision: 1, egressBytes: 77, renterSignature: bytes(64, 7) },
  },
  {
    kind: 'storage.settle',
    contractId: hash('34') as ContractId,
    throughPeriod: 4,
    evidence: {
      kind: 'proofs',
      periods: [
        { period: 4, leaves: [{ leaf: bytes(1_024, 8), path: [hash('78') as Hash, hash('9a') as Hash] }] },
      ],
    },
  },
  {
    kind: 'storage.close',
    contractId: hash('34') as ContractId,
    egressBytes: 5,
    renterSignature: bytes(64, 9),
    hostSignature: bytes(64, 10),
  },
];
const signed = (body: TransactionBody) =>
  signTransaction(
    { chainId, sender: alice.accountId, nonce: 4, feeGrains: grains(300), body },
    alice.accountSecret,
  );
const header: BlockHeader = {
  chainId,
  epoch: 0,
  view: 6,
  height: 5,
  parentId: hash('ef') as BlockId,
  timestampMs: 1_700_000_000_123,
  proposer: bob.nodeId,
  txRoot: txRootOf(BODIES.map((body) => encodeTransaction(signed(body)))),
  stateRoot: hash('bc') as Hash,
  nextCommitteeHash: hash('0') as Hash,
};

test('formats are those of the frozen vectors', () => {
  const path = new URL('../test/vectors/formats.json', import.meta.url);
  const now = {
    transactions: BODIES.map((body) => ({
      kind: body.kind,
      bytes: toHex(encodeTransaction(signed(body))),
      id: transactionId(signed(body)),
    })),
    header: { bytes: toHex(encodeHeader(header)), id: blockIdOf(header) },
    addresses: [accountAddress(alice.accountId), nodeAddress(alice.nodeId)],
  };
  if (process.env.FREEZE_VECTORS === '1') writeFileSync(path, `${JSON.stringify(now, undefined, 1)}\n`);
  assert.deepEqual(now, JSON.parse(readFileSync(path, 'utf8')));
});

test('what is encoded is decoded, and encoded to the same bytes', () => {
  for (const body of BODIES) {
    const transaction = signed(body);
    const encoded = encodeTransaction(transaction);
    const decoded = decodeTransaction(encoded);
    assert.deepEqual(decoded, transaction);
    assert.deepEqual(encodeTransaction(decoded), encoded);
  }
  const block = { header, transactions: BODIES.map(signed) };
  assert.deepEqual(decodeBlock(encodeBlock(block)), block);
  assert.deepEqual(decodeHeader(encodeHeader(header)), header);
});

test('bytes that are cut, longer, flipped or random are refused with a coded error or read as exactly themselves', () => {
  const samples = [...BODIES.map((body) => encodeTransaction(signed(body)))];
  fc.assert(
    fc.property(
      fc.constantFrom(...samples),
      fc.nat(),
      fc.integer({ min: 0, max: 7 }),
      fc.constantFrom('flip', 'cut', 'extend', 'random'),
      (sample, at, bit, how) => {
        const changed =
          how === 'flip'
            ? sample.map((byte, i) => (i === at % sample.length ? byte ^ (1 << bit) : byte))
            : how === 'cut'
              ? sample.slice(0, at % sample.length)
              : how === 'extend'
                ? Uint8Array.from([...sample, bit])
                : Uint8Array.from({ length: at % 300 }, (_, i) => (at * (i + 7)) & 255);
        try {
          assert.deepEqual(encodeTransaction(decodeTransaction(changed)), changed);
          assert(how === 'flip' || how === 'random', `${how} was accepted`);
        } catch (error) {
          assert(error instanceof LedgerError, String(error));
        }
      },
    ),
    { numRuns: 2_000 },
  );
});

test('a block whose body is not that of its header is refused', () => {
  const block = encodeBlock({ header, transactions: BODIES.slice(1).map(signed) });
  assert.throws(
    () => decodeBlock(block),
    (error) => error instanceof LedgerError && error.code === 'bad-block',
  );
  assert.throws(
    () => decodeBlock(new Uint8Array(2_000_000)),
    (error) => error instanceof LedgerError && error.code === 'oversized',
  );
});

test('native and noble signatures agree, edge values included', () => {
  assert(nativeSigner !== undefined, 'the native library must load where tests run');
  const native = nativeSigner;
  const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
  const word = (value: bigint) => fromHex(value.toString(16).padStart(64, '0')) as Uint8Array;
  for (const secret of [word(1n), word(2n), word(order - 1n), alice.accountSecret]) {
    assert.deepEqual(native.publicKey(secret), nobleSigner.publicKey(secret));
    for (const digest of [word(0n), word(1n), word(order), word(2n ** 256n - 1n), bytes(32, 7)]) {
      const publicKey = native.publicKey(secret);
      const signature = native.sign(digest, secret);
      // Beyond the order (once in 2^128 hashes) the two derive the nonce from different forms of the digest.
      if (BigInt(`0x${toHex(digest)}`) < order) assert.deepEqual(signature, nobleSigner.sign(digest, secret));
      assert(native.verify(nobleSigner.sign(digest, secret), digest, publicKey));
      assert(native.verify(signature, digest, publicKey) && nobleSigner.verify(signature, digest, publicKey));
      const s = BigInt(`0x${toHex(signature.subarray(32))}`);
      const highS = Uint8Array.from([...signature.subarray(0, 32), ...word(order - s)]);
      const zero = new Uint8Array(64);
      const beyond = Uint8Array.from([...word(order), ...signature.subarray(32)]);
      for (const bad of [highS, zero, beyond, signature.subarray(1)]) {
        assert(!native.verify(bad, digest, publicKey) && !nobleSigner.verify(bad, digest, publicKey));
      }
    }
  }
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 33, maxLength: 33 }),
      fc.uint8Array({ minLength: 64, maxLength: 64 }),
      (key, signature) => {
        const tagged = Uint8Array.from([2 + ((key[0] as number) & 1), ...key.subarray(1)]);
        assert.equal(native.validPublicKey(tagged), nobleSigner.validPublicKey(tagged));
        assert.equal(
          native.verify(signature, bytes(32, 1), tagged),
          nobleSigner.verify(signature, bytes(32, 1), tagged),
        );
      },
    ),
    { numRuns: 100 },
  );
});

test('addresses are read back, and a typing mistake is noticed', () => {
  const address = accountAddress(alice.accountId);
  assert.equal(parseAccountAddress(address), alice.accountId);
  assert.equal(parseNodeAddress(nodeAddress(alice.nodeId)), alice.nodeId);
  assert.equal(parseAccountAddress(alice.accountId.toUpperCase() as AccountId), alice.accountId);
  const wrong = `${address.slice(0, 20)}${address[20] === 'q' ? 'p' : 'q'}${address.slice(21)}`;
  for (const bad of [wrong, nodeAddress(alice.nodeId), '', 'acorn1', '02'.padEnd(66, 'f') as NodeId]) {
    assert.throws(
      () => parseAccountAddress(bad),
      (error) => error instanceof LedgerError && error.code === 'malformed',
    );
  }
});
