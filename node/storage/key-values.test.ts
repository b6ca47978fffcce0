import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { LevelKeyValues } from './key-values.ts';

const folder = mkdtempSync(join(tmpdir(), 'blocktree-key-values-'));
after(() => rmSync(folder, { recursive: true, force: true }));

test('writes that come together are each there when they resolve, the last of a key wins', async () => {
  const store = await LevelKeyValues.open(join(folder, 'many'));
  const value = (n: number) => Uint8Array.of(n);
  await Promise.all(
    Array.from({ length: 200 }, async (_, n) => {
      await store.write([
        { key: `own/${n}`, value: value(n) },
        { key: 'shared', value: value(n) },
      ]);
      assert.deepEqual(store.get(`own/${n}`)?.[0], n);
    }),
  );
  assert.equal(store.get('shared')?.[0], 199);
  void store.write([{ key: 'last', value: value(1) }]);
  await store.close();
  const again = await LevelKeyValues.open(join(folder, 'many'));
  assert.equal(again.get('last')?.[0], 1);
  assert.equal((await again.range('own/')).length, 200);
  await again.close();
});

test('a range has every key of its prefix, whatever its script, and in parts what it has as a whole', async () => {
  const store = await LevelKeyValues.open(join(folder, 'db'));
  const names = ['a', 'é', '漢', '\uffff', '🎉 party', '\u{10ffff}'];
  await store.write(
    ['before/x', 'manifest0', ...names.map((name) => `manifest/${name}`)].map((key) => ({
      key,
      value: Uint8Array.of(1),
    })),
  );
  const keys = (rows: readonly { key: string }[]) => rows.map(({ key }) => key);
  const whole = keys(await store.range('manifest/'));
  assert.deepEqual(new Set(whole), new Set(names.map((name) => `manifest/${name}`)));
  const parts: string[] = [];
  for (let after: string | undefined; ; after = parts.at(-1)) {
    const part = keys(
      await store.range('manifest/', { limit: 2, ...(after === undefined ? {} : { after }) }),
    );
    parts.push(...part);
    if (part.length < 2) break;
  }
  assert.deepEqual(parts, whole);
  await store.close();
});
