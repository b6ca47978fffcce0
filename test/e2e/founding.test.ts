import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { chainIdOf, genesisFromJson } from '../../ledger/genesis.ts';
import { freePorts } from '../support/free-ports.ts';
import { blocktree, Machine, Refusal } from '../support/machine.ts';
import { until } from '../support/until.ts';

/** Four owners found a network: each with a folder and a process of his own, through the command line alone. */

const OWNERS = [1, 2, 3, 4];
const PERIOD_MS = 2_000;
let folder: string;
let port: number;
const machines: Machine[] = [];

const file = (name: string): string => join(folder, name);
const home = (n: number): string => file(`home-${n}`);
const owner = (n: number): Machine => machines[n - 1] as Machine;
const founderFiles = OWNERS.map((n) => `founder-${n}.json`);
const refusedWith = (code: string, exitCode: number) => (error: unknown) =>
  error instanceof Refusal && error.code === code && error.exitCode === exitCode;

function prepare(n: number): Promise<{ nodeId: string }> {
  return blocktree([
    ...[
      '--data',
      home(n),
      'init',
      '--founder',
      file(`founder-${n}.json`),
      '--tpm-device',
      'software:tpm.json',
    ],
    ...[
      '--link-host',
      '127.0.0.1',
      '--link-port',
      `${port + n}`,
      '--link-advertise',
      `127.0.0.1:${port + n}`,
    ],
    ...['--console-port', `${port + 4 + n}`, '--log-file', 'node.log'],
  ]);
}

function found(target: string, founders: readonly string[], ...more: readonly string[]) {
  return blocktree<{ chainId: string; seeds: string[] }>([
    ...['init', '--found', file(target), '--founders', ...founders.map(file), '--name', 'four friends'],
    ...['--issuer', file('issuer'), '--period', `${PERIOD_MS}`, ...more],
  ]);
}

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'blocktree-founding-'));
  // Links of the four, their consoles, and the console of the fifth; the first stays unused.
  port = await freePorts(2 * OWNERS.length + 2);
  await Promise.all(OWNERS.map(prepare));
});

after(async () => {
  await Promise.all(machines.map((each) => each.stop()));
  await rm(folder, { recursive: true, force: true });
});

test('what is no committee is refused before anything is made', async () => {
  await assert.rejects(
    found('n.json', founderFiles.slice(0, 3), '--dev'),
    refusedWith('bad-configuration', 2),
  );
  const twice = [...founderFiles.slice(0, 3), 'founder-1.json'];
  await assert.rejects(found('n.json', twice, '--dev'), refusedWith('bad-configuration', 2));
  await assert.rejects(found('n.json', founderFiles), refusedWith('bad-configuration', 2));
  const mistyped = (await readFile(file('founder-1.json'), 'utf8')).replace(/"node1q./, '"node1qx');
  await writeFile(file('mistyped.json'), mistyped);
  await assert.rejects(found('n.json', ['mistyped.json'], '--dev'), refusedWith('bad-configuration', 2));
  await assert.rejects(readFile(file('n.json')), { code: 'ENOENT' });
  await assert.rejects(readFile(file('issuer/issuer-key')), { code: 'ENOENT' });
  await assert.rejects(prepare(1), refusedWith('exists', 1));
});

test('the network file names the founders, and each of them takes it up', async () => {
  const { chainId, seeds } = await found('network.json', founderFiles, '--dev');
  const genesis = genesisFromJson(JSON.parse(await readFile(file('network.json'), 'utf8')));
  assert.equal(chainIdOf(genesis), chainId);
  assert.equal(genesis.committee.length, 4);
  assert.equal(genesis.parameters.periodMs, PERIOD_MS);
  assert.deepEqual(
    seeds,
    OWNERS.map((n) => `127.0.0.1:${port + n}`),
  );
  await assert.rejects(found('network.json', founderFiles, '--dev'), refusedWith('exists', 1));
  const words = ['--network', file('network.json'), '--link-seeds', seeds[0] as string];
  const issuing = ['--issuer-folder', file('issuer'), '--issuer-denomination', '1000'];
  const joining = OWNERS.map(async (n) => {
    const verb = ['--data', home(n), 'init', ...words, ...(n === 1 ? issuing : [])];
    const joined = await blocktree<{ chainId: string; founder: boolean }>(verb);
    assert.deepEqual([joined.chainId, joined.founder], [chainId, true]);
  });
  await Promise.all(joining);
  // A second time is a mistake.
  await assert.rejects(blocktree(['--data', home(1), 'init', ...words]), refusedWith('exists', 1));
});

test('they form a committee, claim, offer, and keep a file for one of them', async () => {
  machines.push(...OWNERS.map((n) => new Machine(home(n), port + 4 + n)));
  await Promise.all(machines.map((each) => each.start()));
  const claims = machines.map(async (each) => {
    await each.cli('tpm', 'request', '--issuer', owner(1).url);
    await each.cli('tpm', 'claim');
    await each.cli('host', 'offer', '--price', '0.1');
  });
  await Promise.all(claims);
  const balances = await Promise.all(
    machines.map((each) => each.cli<{ balanceGrains: string }>('wallet', 'balance')),
  );
  for (const { balanceGrains } of balances) assert(BigInt(balanceGrains) > 900n * 10n ** 9n);
  const content = file('network.json');
  await until(
    () =>
      owner(4)
        .cli('put', content, 'shared', '--redundancy', '1+2')
        .then(
          () => true,
          (error: unknown) => {
            if (error instanceof Refusal && error.code === 'not-enough-hosts') return false;
            throw error;
          },
        ),
    30_000,
    'links to the hosts',
  );
  await owner(4).cli('get', 'shared', file('back'));
  assert.equal(await readFile(file('back'), 'utf8'), await readFile(content, 'utf8'));
});

test('a fifth joins by the address of a node, with one seed', async () => {
  const address = `${owner(2).url}/api/v1/ledger/genesis`;
  const made = await blocktree<{ chainId: string }>([
    ...['--data', home(5), 'init', '--network', address, '--tpm-device', 'software:tpm.json'],
    ...['--link-host', '127.0.0.1', '--link-port', '0', '--link-seeds', `127.0.0.1:${port + 3}`],
    ...['--console-port', `${port + 9}`, '--log-file', 'node.log'],
  ]);
  assert.equal(made.chainId, chainIdOf(genesisFromJson(await owner(1).get('/ledger/genesis'))));
  const fifth = new Machine(home(5), port + 9);
  machines.push(fifth);
  await fifth.start();
  await fifth.cli('tpm', 'request', '--issuer', owner(1).url);
  await fifth.cli('tpm', 'claim');
  await until(
    async () => (await fifth.cli<{ peerCount: number }>('status')).peerCount === OWNERS.length,
    20_000,
    'links to all hosts',
  );
  const gone = ['--data', home(6), 'init', '--network', `${owner(1).url}/api/v1/nothing`];
  await assert.rejects(blocktree(gone), refusedWith('not-found', 1));
});
