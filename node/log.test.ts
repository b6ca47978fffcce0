import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { loadSettings } from './config/settings.ts';
import { NodeError } from './errors.ts';
import { openLog } from './log.ts';

const folder = mkdtempSync(join(tmpdir(), 'blocktree-log-'));
after(() => rmSync(folder, { recursive: true }));
const log = (file: string) => openLog(folder, loadSettings(folder, { 'log.file': file }, {}));

test('a line is in the file, which only its owner reads, as soon as it is said', () => {
  log('node.log').info('hello');
  assert.match(readFileSync(join(folder, 'node.log'), 'utf8'), /"hello"/);
  assert.equal(statSync(join(folder, 'node.log')).mode & 0o777, 0o600);
});

test('a place where no file can be is refused with the name of the setting', () => {
  for (const file of ['.', '/proc/nowhere/node.log', 'node.log/node.log'])
    assert.throws(
      () => log(file),
      (error) =>
        error instanceof NodeError && error.code === 'bad-configuration' && /^log\.file:/.test(error.message),
      file,
    );
});
