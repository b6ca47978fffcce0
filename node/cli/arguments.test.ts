import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type AccountId, accountAddress } from '../../ledger/ids.ts';
import {
  account,
  amount,
  byteRange,
  memo,
  oneOf,
  payment,
  redundancy,
  size,
  wholeNumber,
} from './arguments.ts';

const refused = { name: 'NodeError', code: 'bad-configuration' };

test('what can be meant is read, and nothing else is', () => {
  const cases: readonly [(text: string) => unknown, readonly [string, unknown][], readonly string[]][] = [
    [
      amount,
      [
        ['0', 0n],
        ['12.5', 12_500_000_000n],
      ],
      ['', '-1', '1e3', '1,5', '0.0000000001', '9'.repeat(21)],
    ],
    [payment, [['0.000000001', 1n]], ['0', '0.0', '-1']],
    [
      size,
      [
        ['1M', 1_048_576],
        ['1.5 GiB', 1_610_612_736],
        ['2097152', 2_097_152],
      ],
      ['0', '1K', '5X', '1e9', '-1G', '9999T9'],
    ],
    [
      byteRange,
      [
        ['0-9', '0-9'],
        ['9-9', '9-9'],
        ['9-', '9-'],
        ['-9', '-9'],
      ],
      ['-', '9-2', 'a-b', '1-2,4-5', ''],
    ],
    [
      redundancy,
      [
        ['2+3', '2+3'],
        ['30+30', '30+30'],
      ],
      ['2x', '2', '0+2', '2+0', '31+30', '2+-1', '02+3'],
    ],
    [memo, [['ä'.repeat(32), 'ä'.repeat(32)]], ['ä'.repeat(33)]],
    [
      (text) => wholeNumber(text, '--n', 1, 30),
      [
        ['1', 1],
        ['30', 30],
      ],
      ['0', '31', '1.5', 'x', '', '-1', ' 1'],
    ],
    [(text) => oneOf(text, '--role', ['a', 'b']), [['b', 'b']], ['c', '', 'A']],
  ];
  for (const [read, good, bad] of cases) {
    for (const [text, value] of good) assert.deepEqual(read(text), value, text);
    for (const text of bad) assert.throws(() => read(text), refused, `"${text}"`);
  }
});

test('an address with a typing mistake is refused', () => {
  const id = `02${'79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798'}` as AccountId;
  const address = accountAddress(id);
  assert.equal(account(address), id);
  assert.throws(() => account(`${address.slice(0, -1)}${address.endsWith('q') ? 'p' : 'q'}`), refused);
});
