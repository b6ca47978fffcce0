import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { withSetting } from './edit-settings.ts';
import { parseSettingsFile, SETTINGS, type SettingName } from './settings.ts';

const FILE = `# Mine.
[link]
port = 7001 # beside the other one
seeds = ["a:1", "b:2"]

# How I look at it.
[console]
port = 7071
`;

test('a setting is changed where it stands, and nothing else is touched', () => {
  const changed = withSetting(FILE, 'f', 'link.port', '7005');
  assert.equal(changed, FILE.replace('7001', '7005'));
  assert.equal(withSetting(FILE, 'f', 'link.seeds', 'c:3'), FILE.replace('["a:1", "b:2"]', '["c:3"]'));
});

test('a setting that is not there yet joins its section, or begins it', () => {
  assert.match(
    withSetting(FILE, 'f', 'link.host', '127.0.0.1'),
    /seeds = \["a:1", "b:2"\]\nhost = "127\.0\.0\.1"\n\n# How/,
  );
  assert.match(withSetting(FILE, 'f', 'log.level', 'debug'), /port = 7071\n\n\[log\]\nlevel = "debug"\n$/);
  assert.equal(withSetting('', 'f', 'log.level', 'debug'), '[log]\nlevel = "debug"\n');
  assert.equal(withSetting('link.port = 1\n', 'f', 'link.port', '2'), 'link.port = 2\n');
});

test('what does not fit is refused in words, and what cannot be changed safely is left to its owner', () => {
  assert.throws(() => withSetting(FILE, 'f', 'link.port', 'many'), /expected a port from 0 to 65535/);
  assert.throws(() => withSetting(FILE, 'f', 'host.automatic', 'perhaps'), /expected true or false/);
  const spread = '[link]\nseeds = [\n  "a:1",\n]\n';
  assert.throws(() => withSetting(spread, 'f', 'link.seeds', 'b:2'), /only you can change/);
  const inline = 'link = { port = 1 }\n';
  assert.throws(() => withSetting(inline, 'f', 'link.port', '2'), /only you can change/);
});

test('any text comes back as it was given', () => {
  const names = Object.keys(SETTINGS).filter(
    (name) => SETTINGS[name as SettingName].kind === 'text',
  ) as SettingName[];
  fc.assert(
    fc.property(fc.constantFrom(...names), fc.string({ unit: 'grapheme' }), (name, text) => {
      const changed = withSetting(FILE, 'f', name, text);
      assert.equal(parseSettingsFile(changed, 'f')[name], text);
      assert.equal(withSetting(changed, 'f', name, text), changed);
    }),
  );
});
