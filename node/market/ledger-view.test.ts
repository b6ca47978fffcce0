import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { LedgerView } from './ledger-view.ts';

test('a period progresses for a node whose clock is behind, ahead or right', () => {
  const periodMs = 1_000_000;
  const startedMs = 1_700_000_000_000;
  for (const [offsetMs, atOnce, later] of [
    [-5_000_000, 0, 0.7],
    [0, 0, 0.7],
    [300_000, 0.3, 1],
    [9_000_000, 1, 1],
  ] as const) {
    let monotonicMs = 77;
    mock.method(performance, 'now', () => monotonicMs);
    mock.method(Date, 'now', () => startedMs + offsetMs + monotonicMs - 77);
    const chain = {
      state: { read: () => ({ period: 4, periodStartedMs: startedMs }) },
      rules: { parameters: { periodMs } },
    };
    const view = new LedgerView(chain as never, 'account' as never, 'node' as never);
    assert.equal(view.periodProgress(), atOnce);
    monotonicMs += 700_000;
    assert.equal(view.periodProgress(), later);
    mock.restoreAll();
  }
});
