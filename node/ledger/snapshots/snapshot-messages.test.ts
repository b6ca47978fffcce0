import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { genesisHeader } from '../../../ledger/block.ts';
import { FIRST_KEY } from '../../../ledger/commitment/range-proof.ts';
import { LedgerError } from '../../../ledger/errors.ts';
import type { BlockId, Hash } from '../../../ledger/ids.ts';
import { LedgerWorld } from '../../../test/support/ledger-world.ts';
import { decodeCertified, encodeCertified } from '../store/finality.ts';
import {
  decodeChunkRequest,
  decodeStates,
  decodeStatesRequest,
  encodeChunkRequest,
  encodeStates,
  encodeStatesRequest,
} from './snapshot-messages.ts';

const world = new LedgerWorld(['ann']);
const header = genesisHeader(world.genesis, 'cd'.repeat(32) as Hash);
const certified = {
  header,
  certificate: {
    type: 'finalize' as const,
    epoch: 3,
    view: 7,
    position: { view: 7, parentView: 6, height: 12, blockId: 'ab'.repeat(32) as BlockId },
    bitmap: Uint8Array.of(0x80),
    signatures: [new Uint8Array(64).fill(5)],
  },
};
const states = {
  boundaries: [{ ...certified, nextSeats: world.genesis.committee }],
  states: [certified, certified],
};
const request = { blockId: 'ab'.repeat(32) as BlockId, from: FIRST_KEY, to: 'f0'.padEnd(64, '0') };

test('messages come out as they went in', () => {
  assert.deepEqual(decodeStates(encodeStates(states)), states);
  assert.deepEqual(decodeChunkRequest(encodeChunkRequest(request)), request);
  assert.equal(decodeStatesRequest(encodeStatesRequest(70_000)), 70_000);
  assert.deepEqual(decodeCertified(encodeCertified(certified)), certified);
});

test('random and changed bytes are refused as malformed, or say exactly what they encode', () => {
  const kinds = [
    [decodeStates, encodeStates, encodeStates(states)],
    [decodeChunkRequest, encodeChunkRequest, encodeChunkRequest(request)],
    [decodeStatesRequest, encodeStatesRequest, encodeStatesRequest(9)],
    [decodeCertified, encodeCertified, encodeCertified(certified)],
  ] as unknown as readonly [(bytes: Uint8Array) => unknown, (value: unknown) => Uint8Array, Uint8Array][];
  for (const [decode, encode, good] of kinds) {
    const changed = fc
      .tuple(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }), fc.nat(good.length))
      .map(([at, flip, keep]) => {
        const bytes = Uint8Array.from(good);
        bytes[at] = (bytes[at] as number) ^ flip;
        return keep % 3 === 0 ? bytes.slice(0, keep) : bytes;
      });
    fc.assert(
      fc.property(fc.oneof(changed, fc.uint8Array({ maxLength: 300 })), (bytes) => {
        let value: unknown;
        try {
          value = decode(bytes);
        } catch (error) {
          assert(error instanceof LedgerError && error.code === 'malformed');
          return;
        }
        assert.deepEqual(encode(value), bytes);
      }),
      { numRuns: 400 },
    );
  }
});
