import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { equalBytes, utf8 } from '../../../ledger/bytes.ts';
import { encodeCertificate } from '../../../ledger/consensus/messages.ts';
import type { Certificate } from '../../../ledger/consensus/votes.ts';
import { LedgerError } from '../../../ledger/errors.ts';
import type { BlockId } from '../../../ledger/ids.ts';
import { decodeFinal, encodeFinal, type FinalRecord } from './final-record.ts';

const id = 'ab'.repeat(32) as BlockId;
const certificate: Certificate = {
  type: 'finalize',
  epoch: 2,
  view: 9,
  position: { view: 9, parentView: 7, height: 5, blockId: id },
  bitmap: Uint8Array.of(0b1110_0000),
  signatures: [1, 2, 3].map((n) => new Uint8Array(64).fill(n)),
};
const record: FinalRecord = { id, height: 5, epoch: 2, view: 9, timestampMs: 1_234, certificate };

test('what is stored of the newest block is what is read, with and without its certificate', () => {
  const { certificate: read, ...rest } = decodeFinal(encodeFinal(record));
  const { certificate: written, ...others } = record;
  assert.deepEqual(rest, others);
  assert(read && written && equalBytes(encodeCertificate(read), encodeCertificate(written)));
  const bare = { ...record, certificate: undefined };
  assert.deepEqual(decodeFinal(encodeFinal(bare)), bare);
});

test('a record that was changed is refused as such, whatever the change', () => {
  const stored = encodeFinal(record);
  const reads = (bytes: Uint8Array): void => {
    try {
      decodeFinal(bytes);
    } catch (error) {
      assert(error instanceof LedgerError && error.code === 'malformed', String(error));
    }
  };
  fc.assert(
    fc.property(fc.nat(stored.length - 1), fc.integer({ min: 1, max: 255 }), (at, bits) => {
      const changed = stored.slice();
      changed[at] = (changed[at] as number) ^ bits;
      reads(changed);
      reads(stored.slice(0, at));
    }),
  );
  for (const text of ['', 'null', '7', '[]', '{}', '{"id":7}', `{"id":"${id}","height":1.5}`])
    assert.throws(() => decodeFinal(utf8(text)), { code: 'malformed' });
});
