import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { Access } from './access.ts';

const folder = mkdtempSync(join(tmpdir(), 'blocktree-access-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const local = () => readFileSync(join(folder, 'api-token'), 'utf8').trim();

test('no number of logins takes the token of the command line, or any other token', async () => {
  const access = await Access.open(folder);
  const { token } = await access.createToken('program', 'viewer');
  const sessions: string[] = [];
  for (let n = 0; n < 600; n++)
    sessions.push((await access.login(access.loginCode())) ?? assert.fail('a fresh code logs in'));
  assert.equal(access.roleOf(local()), 'owner');
  assert.equal(access.roleOf(token), 'viewer');
  assert.equal(access.roleOf(sessions.at(-1) as string), 'owner');
  assert.equal(access.roleOf(sessions[0] as string), undefined, 'the oldest session made room');
  const again = await Access.open(folder);
  assert.equal(again.roleOf(token), 'viewer');
});

test('tokens are bounded: one too many is refused and none is lost', async () => {
  const access = await Access.open(folder);
  const made: string[] = [];
  await assert.rejects(
    async () => {
      for (let n = 0; n < 1_000; n++) made.push((await access.createToken(`t${n}`, 'viewer')).token);
    },
    { code: 'too-many-tokens' },
  );
  assert(made.length > 100);
  for (const token of made) assert.equal(access.roleOf(token), 'viewer');
  assert.equal(access.roleOf(local()), 'owner');
});

test('a token file that is lost is made anew, even when the table is full, and the old one is no good', async () => {
  const before = local();
  rmSync(join(folder, 'api-token'));
  const access = await Access.open(folder);
  assert.equal(access.roleOf(local()), 'owner');
  assert.equal(access.roleOf(before), undefined);
});

test('the token of the command line, revoked, is followed by another', async () => {
  const access = await Access.open(folder);
  const before = local();
  const { id } = access.tokens().find(({ isLocal }) => isLocal) ?? assert.fail('there is a local token');
  assert.equal(await access.revoke(id), true);
  assert.equal(access.roleOf(before), undefined);
  assert.equal(access.roleOf(local()), 'owner');
  assert.equal(access.tokens().filter(({ isLocal }) => isLocal).length, 1);
});
