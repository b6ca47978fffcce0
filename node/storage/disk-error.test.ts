import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NodeError } from '../errors.ts';
import { diskError } from './disk-error.ts';

const system = (code: string): Error => Object.assign(new Error(`${code}: it says so, open '/x'`), { code });
const level = (text: string): Error =>
  new Error('Database failed to open', {
    cause: Object.assign(new Error(`IO error: /x/LOCK: ${text}`), { code: 'LEVEL_IO_ERROR' }),
  });

test('what the system refuses is said in words that tell what to do, whether Node or LevelDB heard it', () => {
  for (const [errors, code, message] of [
    [[system('ENOSPC'), level('No space left on device')], 'disk-full', /make room/],
    [[system('EDQUOT'), level('Disk quota exceeded')], 'disk-full', /make room/],
    [[system('EROFS'), level('Read-only file system')], 'no-access', /read-only/],
    [[system('EACCES'), level('Permission denied')], 'no-access', /chown -R USER \/data/],
    [[system('EPERM'), level('Operation not permitted')], 'no-access', /chown/],
    [[system('EMFILE'), level('Too many open files')], 'no-access', /ulimit/],
    [[system('EIO'), level('Input/output error')], 'disk-failed', /ledger verify/],
  ] as const)
    for (const error of errors) {
      const said = diskError('/data', error);
      assert.equal(said?.code, code, error.message);
      assert.match(said.message, message);
    }
});

test('what is no trouble of the disk is left to others, and what was said already is not said anew', () => {
  assert.equal(diskError('/data', new Error('Corruption: bad block')), undefined);
  assert.equal(diskError('/data', level('lock /x/LOCK: already held by process')), undefined);
  const said = new NodeError('data-damaged', 'it is damaged');
  assert.equal(diskError('/data', said), said);
});
