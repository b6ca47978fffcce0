import assert from 'node:assert/strict';
import { test } from 'node:test';
import { utf8 } from '../../ledger/bytes.ts';
import { publicKeyOf } from '../../ledger/crypto/secp256k1.ts';
import { sha256 } from '../../ledger/crypto/sha256.ts';
import { type ChainId, keyId, type NodeId } from '../../ledger/ids.ts';
import { Directory } from './directory.ts';
import { encodeRecords, type NodeRecord, signRecord } from './node-record.ts';

const chainId = 'ab'.repeat(32) as ChainId;
const secretOf = (name: string): Uint8Array => sha256(utf8(name));
const idOf = (name: string): NodeId => keyId<NodeId>(publicKeyOf(secretOf(name)));

function record(name: string, sequence: number, addresses = ['127.0.0.1:7000'], chain = chainId): NodeRecord {
  return signRecord(chain, { nodeId: idOf(name), addresses, sequence }, secretOf(name));
}

function directory(
  stored: readonly Uint8Array[] = [],
  save: (records: readonly Uint8Array[]) => void = () => undefined,
) {
  const failures: unknown[] = [];
  const opened = new Directory({
    chainId,
    nodeId: idOf('self'),
    nodeSecret: secretOf('self'),
    advertise: ['127.0.0.1:7777'],
    store: { load: () => stored, save },
    keep: () => false,
    onSaveFailed: (error) => failures.push(error),
  });
  return { opened, failures };
}

test('the record with the highest sequence counts; what is old, forged or of another chain does not', () => {
  const { opened } = directory();
  assert.equal(opened.receive(encodeRecords([record('a', 5)])).fresh.length, 1);
  assert.equal(opened.receive(encodeRecords([record('a', 5)])).fresh.length, 0);
  assert.equal(opened.receive(encodeRecords([record('a', 4, ['127.0.0.1:1'])])).fresh.length, 0);
  assert.equal(opened.receive(encodeRecords([record('a', 6, ['127.0.0.1:2'])])).fresh.length, 1);
  assert.deepEqual(opened.addressesOf(idOf('a')), ['127.0.0.1:2']);
  const forged = { ...record('a', 9), addresses: ['6.6.6.6:7000'] };
  assert.equal(opened.receive(encodeRecords([forged])).refused?.code, 'bad-record');
  const foreign = record('a', 9, ['127.0.0.1:3'], 'cd'.repeat(32) as ChainId);
  assert.equal(opened.receive(encodeRecords([foreign])).refused?.code, 'bad-record');
  assert.equal(opened.receive(encodeRecords([record('a', 9, ['no address'])])).refused?.code, 'bad-record');
  assert.deepEqual(opened.addressesOf(idOf('a')), ['127.0.0.1:2']);
  opened.close();
});

test("nobody replaces a node's own record, and it is the first that a new peer hears", () => {
  const { opened } = directory();
  opened.receive(encodeRecords(Array.from({ length: 40 }, (_, i) => record(`n${i}`, 1))));
  opened.receive(encodeRecords([record('self', Number.MAX_SAFE_INTEGER, ['6.6.6.6:1'])]));
  assert.deepEqual(opened.addressesOf(idOf('self')), ['127.0.0.1:7777']);
  const told = directory([...opened.greeting()]).opened;
  assert.deepEqual(told.addressesOf(idOf('n39')), ['127.0.0.1:7000']);
  opened.close();
});

test('records outlive a restart; a damaged file or a full disk does not stop the node', () => {
  let disk: readonly Uint8Array[] = [];
  const first = directory([], (records) => {
    disk = records;
  }).opened;
  first.receive(encodeRecords([record('a', 5)]));
  first.close();
  assert.deepEqual(directory(disk).opened.addressesOf(idOf('a')), ['127.0.0.1:7000']);
  assert.deepEqual(directory([new Uint8Array(9), ...disk]).opened.addressesOf(idOf('a')), ['127.0.0.1:7000']);
  const { opened, failures } = directory([], () => {
    throw new Error('no space left');
  });
  opened.receive(encodeRecords([record('b', 5)]));
  opened.close();
  assert.equal(failures.length, 2);
  assert.deepEqual(opened.addressesOf(idOf('b')), ['127.0.0.1:7000']);
});
