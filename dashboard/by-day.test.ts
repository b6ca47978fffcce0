import assert from 'node:assert/strict';
import { test } from 'node:test';
import { byDay, DAY_MS } from './by-day.ts';

const earned = (startedAt: string | null, total: string, storage = total) => ({
  startedAt,
  totalGrains: total,
  storageGrains: storage,
  egressGrains: '0',
  feeGrains: '0',
  penaltyGrains: '0',
});
const local = (day: number, hour: number) => new Date(2026, 10, day, hour).toISOString();
const dayOf = (day: number) => Date.UTC(2026, 10, day) / DAY_MS;

test('periods are added up to the grain in the day in which they began, and no day is left out', () => {
  const days = byDay([
    earned(local(20, 1), '9007199254740993'),
    earned(local(20, 23), '2'),
    earned(null, '3'),
    earned(local(23, 0), '-5', '7'),
  ]);
  assert.deepEqual(
    days.map(({ day, sums }) => [day, sums.totalGrains, sums.storageGrains]),
    [
      [dayOf(20), '9007199254740998', '9007199254740998'],
      [dayOf(21), '0', '0'],
      [dayOf(22), '0', '0'],
      [dayOf(23), '-5', '7'],
    ],
  );
});

test('without periods there are no days', () => {
  assert.deepEqual(byDay([]), []);
  assert.deepEqual(byDay([earned(null, '1')]), []);
});
