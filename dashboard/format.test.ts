import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  acorns,
  bytes,
  duration,
  grainsText,
  latency,
  parseAcorns,
  short,
  when,
  withShortIds,
} from './format.ts';

test('acorns are shown to the decimals that matter, cut and never rounded up', () => {
  for (const [grains, shown] of [
    ['0', '0'],
    ['1', '0.000000001'],
    ['1380000', '0.00138'],
    ['1000000000', '1'],
    ['1999999999', '1.999'],
    ['12500000000', '12.5'],
    ['-12500000000', '−12.5'],
    ['9987431000000', '9,987.43'],
    ['18446744073709551615', '18,446,744,073.7'],
  ] as const)
    assert.equal(acorns(grains), shown);
  assert.equal(grainsText('1380000'), '1,380,000 grains');
});

test('every amount that a person can type is read to the grain, and nothing else is read', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 9_999_999_999_999_999_999n }), (grains) => {
      const decimals = (grains % 1_000_000_000n).toString().padStart(9, '0');
      assert.equal(parseAcorns(`${grains / 1_000_000_000n}.${decimals}`), grains);
    }),
  );
  for (const wrong of ['', '.', '1.', '.5', '-1', '1,5', '1e3', '0.0000000001', '١', 'NaN', '12345678901'])
    assert.equal(parseAcorns(wrong), undefined, wrong);
});

test('sizes, times and ids stay short', () => {
  assert.deepEqual([0, 1_023, 1_024, 10 * 2 ** 20, 1.5 * 2 ** 40].map(bytes), [
    '0 B',
    '1023 B',
    '1.0 KiB',
    '10 MiB',
    '1.5 TiB',
  ]);
  assert.deepEqual([0, 61_000, 3_660_000, 72 * 3_600_000].map(duration), [
    '0 s',
    '1 min',
    '1 h 1 min',
    '3 days',
  ]);
  assert.equal(short('ab'.repeat(32)), 'ababababa…abab');
  assert.equal(short('1234'), '1234');
});

test('moments of today are told by the time, others by the day', () => {
  const now = new Date(2026, 10, 21, 12, 0, 0);
  const at = (year: number, month: number, day: number) => new Date(year, month, day, 9, 8, 7).toISOString();
  assert.match(when(at(2026, 10, 21), now), /08:07/);
  assert.doesNotMatch(when(at(2026, 10, 21), now), /Nov/);
  assert.match(when(at(2026, 10, 20), now), /Nov 20/);
  assert.doesNotMatch(when(at(2026, 10, 20), now), /2026/);
  assert.match(when(at(2025, 10, 20), now), /2025/);
  assert.equal(latency(0.2), 'under 1 ms');
  assert.equal(latency(12.6), '13 ms');
});

test('ids within a sentence are short, and words are left alone', () => {
  assert.equal(
    withShortIds(`The host node1${'q'.repeat(58)} does not answer, 4 audits in a row`),
    'The host node1qqqq…qqqq does not answer, 4 audits in a row',
  );
  assert.equal(withShortIds(`contract ${'ab'.repeat(32)}`), 'contract ababababa…abab');
  assert.equal(withShortIds('node1 is fine'), 'node1 is fine');
});
