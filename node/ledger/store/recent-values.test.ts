import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { RecentValues } from './recent-values.ts';

test('it never says anything but what is stored, and never keeps more than it may', () => {
  const operation = fc.record({
    key: fc.integer({ min: 0, max: 12 }).map(String),
    write: fc.option(fc.option(fc.uint8Array({ maxLength: 2 }), { nil: undefined }), { nil: null }),
    clear: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 60 }), (operations) => {
      const stored = new Map<string, Uint8Array | undefined>();
      const values = new RecentValues(5);
      for (const { clear, key, write } of operations) {
        if (write !== null) {
          stored.set(key, write);
          values.set(key, write);
        } else if (clear) values.clear();
        assert.equal(
          values.get(key, (asked) => stored.get(asked)),
          stored.get(key),
        );
        let loads = 0;
        const count = (asked: string) => {
          loads++;
          return stored.get(asked);
        };
        for (let n = 0; n <= 12; n++) assert.equal(values.get(String(n), count), stored.get(String(n)));
        assert.ok(loads >= 8, 'at most five of thirteen can be known');
      }
    }),
  );
});
