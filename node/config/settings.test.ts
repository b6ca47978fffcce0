import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { NodeError } from '../errors.ts';
import { loadSettings, parseSettingsFile } from './settings.ts';

const folder = mkdtempSync(join(tmpdir(), 'blocktree-settings-'));
after(() => rmSync(folder, { recursive: true }));

const refused = (source: string, message: RegExp) =>
  assert.throws(
    () => parseSettingsFile(source, 'blocktree.toml'),
    (error) =>
      error instanceof NodeError && error.code === 'bad-configuration' && message.test(error.message),
  );

test('a flag beats a variable, a variable the file, the file the default', () => {
  writeFileSync(
    join(folder, 'blocktree.toml'),
    '[link]\nport = 7101\nseeds = ["a:1"]\n[console]\nport = 7102\n',
  );
  const settings = loadSettings(
    folder,
    { 'console.port': '9' },
    { BLOCKTREE_LINK_PORT: '8', BLOCKTREE_CONSOLE_PORT: '10' },
  );
  assert.equal(settings['link.port'], 8);
  assert.equal(settings['console.port'], 9);
  assert.deepEqual(settings['link.seeds'], ['a:1']);
  assert.equal(settings['console.host'], '127.0.0.1');
});

test('an unknown key and a bad value are refused with their line and what was expected', () => {
  refused(
    '[link]\n\nprot = 1\n',
    /blocktree\.toml:3: unknown key "link\.prot"; expected one of .*link\.port/,
  );
  refused(
    '[link]\nhost = "x"\nport = "many"\n',
    /blocktree\.toml:3: expected a port from 0 to 65535 for link\.port/,
  );
  refused('[log]\nlevel = "loud"\n', /:2: expected debug, info, warn or error/);
  refused('[link]\nadmission = "all"\n', /:2: expected "claimed" or "quote"/);
  refused('[link]\nport = 70000\n', /:2: expected a port/);
  refused('[link\n', /blocktree\.toml:1: /);
  assert.throws(
    () => loadSettings(folder, {}, { BLOCKTREE_PORT: '1' }),
    /unknown environment variable BLOCKTREE_PORT/,
  );
  assert.throws(() => loadSettings(folder, { 'link.port': 'x' }, {}), /--link-port: expected a port/);
});
