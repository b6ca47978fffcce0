import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const root = fileURLToPath(new URL('../..', import.meta.url));

test('the bench measures everything that it says it does', { timeout: 400_000 }, async () => {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--import', 'tsx', 'bench/run.ts', '--quick'],
    { cwd: root },
  );
  const lines = stdout.trim().split('\n');
  for (const what of [
    'transfers verified, executed and durable',
    'ratio to the limit',
    'finality p50, 4 processes',
    'in catch-up',
    'restart of a node',
    'CPU of an idle node',
    'put of 3 MiB',
    'links, fetched, to bare TLS',
    'links, stored, to bare TLS',
  ])
    assert.ok(
      lines.some((line) => line.includes(what)),
      `${what} is not in:\n${stdout}`,
    );
  assert.doesNotMatch(stdout, /–|NaN/, 'every number is one');
});
