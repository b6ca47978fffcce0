import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Devnet } from '../support/devnet.ts';
import { blocktree } from '../support/machine.ts';
import { until } from '../support/until.ts';

/** The renter's machine breaks: in the middle of an upload, and for good. Real processes, real words. */

const RENTER = 6;
const devnet = new Devnet({ periodMs: 10_000 });
before(() => devnet.start());
after(() => devnet.remove());

const file = (name: string) => join(devnet.folder, name);
const home = join(devnet.folder, 'devnet', String(RENTER));
const isReady = async (): Promise<boolean> => {
  try {
    return (await fetch(`${devnet.url(RENTER)}/api/v1/health/ready`)).ok;
  } catch {
    return false;
  }
};
/** Fragments that all hosts keep. */
const fragments = (): number => {
  let count = 0;
  for (let n = 1; n < RENTER; n++) {
    const folder = join(devnet.folder, 'devnet', String(n), 'fragments');
    count += readdirSync(folder, { recursive: true }).filter((name) =>
      /[0-9a-f]{64}$/.test(String(name)),
    ).length;
  }
  return count;
};
const got = async (name: string): Promise<Buffer> => {
  await devnet.cli(RENTER, 'get', name, file('out'), '--force');
  return readFileSync(file('out'));
};

test('kill -9 in the middle of a big upload: the same put goes on where it was cut off', async () => {
  const content = randomBytes(60_000_000);
  writeFileSync(file('big'), content);
  const putting = devnet.cli(RENTER, 'put', file('big'), '--redundancy', '2+2').catch(() => undefined);
  await until(async () => fragments() >= 40, 60_000, 'half of the upload');
  await devnet.kill(RENTER);
  await putting;
  const before = fragments();
  devnet.startNode(RENTER);
  await until(isReady, 60_000, 'the node to be back');
  await devnet.cli(RENTER, 'put', file('big'), '--redundancy', '2+2');
  const total = 4 * Math.ceil(content.length / (32 * 65_520));
  const added = fragments() - before;
  assert(before < total, `nothing was cut off: ${before} of ${total}`);
  assert(added <= total - before + 24, `${before} of ${total} fragments were there, ${added} were sent`);
  assert.deepEqual(await got('big'), content);
});

test('the machine is gone: the 24 words bring every file back on an empty one', async () => {
  const contents = new Map<string, Buffer>([['big', readFileSync(file('big'))]]);
  for (const [name, size] of [
    ['empty', 0],
    ['one byte', 1],
    ['🎉/Ünïcödé ☃', 300_000],
    ['removed', 5_000],
    ['several slabs', 5_000_000],
  ] as const) {
    contents.set(name, randomBytes(size));
    writeFileSync(file('in'), contents.get(name) as Buffer);
    await devnet.cli(RENTER, 'put', file('in'), name);
  }
  await devnet.cli(RENTER, 'rm', 'removed');
  contents.delete('removed');
  const { words } = await devnet.cli<{ words: string }>(RENTER, 'wallet', 'backup');
  const settings = readFileSync(join(home, 'blocktree.toml'), 'utf8');
  const balance = async () =>
    BigInt((await devnet.cli<{ balanceGrains: string }>(RENTER, 'wallet', 'balance')).balanceGrains);
  const before = await balance();

  await devnet.kill(RENTER);
  rmSync(home, { recursive: true });
  // What a person would write again: ports and peers. The chip is a new one.
  await blocktree(
    [
      '--data',
      home,
      'init',
      '--restore',
      '--network',
      join(devnet.folder, 'devnet', 'network.json'),
      '--tpm-device',
      'software:tpm.json',
    ],
    `${words}\n`,
  );
  writeFileSync(join(home, 'blocktree.toml'), settings.replace('automatic = true', 'automatic = false'));
  devnet.startNode(RENTER);
  await until(isReady, 60_000, 'the new machine to be ready');
  await assert.rejects(devnet.cli(RENTER, 'recover'), /rents from nobody|claimed chip/);
  await devnet.stopNode(RENTER);
  await devnet.cli(RENTER, 'tpm', 'request');
  devnet.startNode(RENTER);
  await until(isReady, 60_000, 'the new machine to be ready');
  await devnet.cli(RENTER, 'tpm', 'claim');
  const found = await devnet.cli<{ files: number; silent: string[] }>(RENTER, 'recover');
  assert.deepEqual(found.silent, []);
  assert.equal(found.files, contents.size);
  const names = (await devnet.cli<{ name: string }[]>(RENTER, 'ls')).map(({ name }) => name);
  assert.deepEqual(new Set(names), new Set(contents.keys()));
  for (const [name, content] of contents) assert.deepEqual(await got(name), content, name);
  assert((await balance()) > before / 2n);
  // Life goes on: what is new is stored beside what was found, and what was found can be removed.
  writeFileSync(file('in'), 'after');
  // Hosts that seemed silent to a machine that had only just started are asked again in the next period.
  await until(
    () =>
      devnet.cli(RENTER, 'put', file('in'), 'after').then(
        () => true,
        (error: Error) => {
          if (!error.message.includes('not-enough-hosts')) throw error;
          return false;
        },
      ),
    60_000,
    'enough hosts for a new file',
  );
  await devnet.cli(RENTER, 'rm', 'big');
  assert.equal((await got('after')).toString(), 'after');
});
