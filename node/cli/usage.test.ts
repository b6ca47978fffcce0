import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'blocktree-usage-'));
after(() => rmSync(folder, { recursive: true, force: true }));

/** What the command line prints and its exit code. */
function blocktree(
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<{ out: string; err: string; code: number }> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      ['--import', 'tsx', MAIN, '--data', folder, ...args],
      { env: { ...process.env, ...env } },
      (error, out, err) => resolve({ out, err, code: error === null ? 0 : Number(error.code) }),
    );
  });
}

test('a usage that cannot be meant ends with 2, told once, and as JSON to programs', async () => {
  const [unknown, lacking, json] = await Promise.all([
    blocktree(['nosuch']),
    blocktree(['devnet', '--nodes', '0']),
    blocktree(['wallet', 'send', 'acorn1', '--json']),
  ]);
  for (const [{ out, err, code }, said] of [
    [unknown, /unknown command 'nosuch'/],
    [lacking, /from 1 to 30 for --nodes/],
  ] as const) {
    assert.equal(code, 2);
    assert.equal(out, '');
    assert.match(err, said);
    assert.equal(err.trim().split('\n').length, 1, err);
  }
  assert.equal(json.code, 2);
  assert.equal(json.err, '');
  assert.match(JSON.parse(json.out).error.message, /missing required argument 'amount'/);
});

test('a verb without its second word shows what there is, and ends with 2; asked for help ends with 0', async () => {
  const [group, help] = await Promise.all([blocktree(['wallet']), blocktree(['wallet', '--help'])]);
  assert.equal(group.code, 2);
  assert.match(group.err, /send .*<to> <amount>/);
  assert.equal(help.code, 0);
  assert.match(help.out, /send .*<to> <amount>/);
});

test('an id or a height that cannot be one is refused before the node is asked', async () => {
  const ran = mkdtempSync(join(folder, 'ran-'));
  writeFileSync(join(ran, 'api-token'), 'x');
  for (const [verb, id] of [
    ['block', '1x'],
    ['block', '9'.repeat(16)],
    ['tx', 'zz'],
    ['contract', ''],
  ] as const) {
    const { code, err } = await blocktree(['--data', ran, 'ledger', verb, id]);
    assert.equal(code, 2, err);
    assert.match(err, /expected the 64 hex digits of a/);
  }
});

test('where no node runs that is said, and ends with 1', async () => {
  const { out, code } = await blocktree(['status', '--json']);
  assert.equal(code, 1);
  assert.equal(JSON.parse(out).error.code, 'not-running');
});

test('a settings file or variable that does not fit is refused with its place', async () => {
  const variable = await blocktree(['config', 'show'], { BLOCKTREE_LOG_LEVEL: 'loud' });
  assert.match(variable.err, /BLOCKTREE_LOG_LEVEL: expected debug/);
  assert.equal(variable.code, 2);
  writeFileSync(join(folder, 'blocktree.toml'), '[link]\n\nport = "x"\n');
  const { err, code } = await blocktree(['config', 'show']);
  assert.match(err, /blocktree\.toml:3: expected a port/);
  assert.equal(code, 2);
});
