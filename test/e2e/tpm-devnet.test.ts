import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { manufactureEmulator, startEmulator } from '../../node/tpm/emulator.ts';
import { Devnet } from '../support/devnet.ts';
import { blocktree, commandLine, Machine, Refusal } from '../support/machine.ts';
import { until } from '../support/until.ts';

/** `blocktree devnet --tpm emulator`: real processes, each node with an emulated chip of its own. */

const NODES = 5;
const devnet = new Devnet({ periodMs: 3_000, nodes: NODES, tpm: 'emulator' });

interface ChipStatus {
  readonly kind: string;
  readonly ekId: string;
  readonly claimed: { readonly accountId: string; readonly denominationGrains: string } | null;
}
const chipOf = (n: number) => devnet.cli<ChipStatus>(n, 'tpm', 'info');
const chips = new Map<number, ChipStatus>();

before(() => devnet.start());
after(() => devnet.remove());

/** The processes that work in the network's folder. */
function processes(): readonly string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const words = readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ');
        return words.includes(devnet.folder) ? [words] : [];
      } catch {
        return [];
      }
    });
}

test('every node claims an emulated chip of its own, certified by the network’s authority', async () => {
  for (let n = 1; n <= NODES; n++) {
    const chip = await chipOf(n);
    assert.equal(chip.kind, 'tpm2');
    assert.equal(chip.claimed?.denominationGrains, '10000000000000');
    chips.set(n, chip);
  }
  assert.equal(new Set([...chips.values()].map(({ ekId }) => ekId)).size, NODES);
  const log = readFileSync(join(devnet.folder, 'devnet/issuer/endorsements.jsonl'), 'utf8');
  assert.equal(log.match(/swtpm-localca/g)?.length, NODES);
});

test('keys are sealed to the chips, and links demand a quote', async () => {
  for (const [n, { ekId }] of chips) {
    const folder = join(devnet.folder, 'devnet', String(n));
    const { protection } = JSON.parse(readFileSync(join(folder, 'keys.json'), 'utf8'));
    assert.deepEqual([protection.kind, protection.tpmKind, protection.ekId], ['tpm', 'tpm2', ekId]);
    assert.equal((await devnet.cli<Record<string, unknown>>(n, 'config', 'show'))['link.admission'], 'quote');
  }
});

test('the network stores a file as any other does', async () => {
  const path = join(devnet.folder, 'letter.txt');
  writeFileSync(path, 'to whom it may concern\n');
  await devnet.cli(5, 'put', path, 'letter');
  await devnet.cli(5, 'get', 'letter', join(devnet.folder, 'back.txt'));
  assert.equal(readFileSync(join(devnet.folder, 'back.txt'), 'utf8'), 'to whom it may concern\n');
});

/** Puts TLS before a console, as an issuer on the internet does, with a certificate that nobody knows yet. */
async function overTls(
  target: string,
  use: (address: string, certificate: string) => Promise<void>,
): Promise<void> {
  const [template, key, certificate] = ['tls.template', 'tls.key', 'tls.pem'].map((name) =>
    join(devnet.folder, name),
  ) as [string, string, string];
  writeFileSync(template, 'cn = localhost\ndns_name = localhost\ntls_www_server\nexpiration_days = 2\n');
  const run = promisify(execFile);
  await run('certtool', ['--generate-privkey', '--key-type', 'ecdsa', '--outfile', key]);
  const signing = ['--generate-self-signed', '--load-privkey', key, '--template', template];
  await run('certtool', [...signing, '--outfile', certificate]);
  const server = createServer(
    { key: readFileSync(key), cert: readFileSync(certificate) },
    (incoming, outgoing) => {
      const { method, url, headers } = incoming;
      const onward = request(`${target}${url}`, {
        method,
        headers: { ...headers, host: new URL(target).host },
      });
      onward.on('response', (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(outgoing);
      });
      incoming.pipe(onward);
    },
  );
  await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve));
  try {
    await use(`https://localhost:${(server.address() as AddressInfo).port}`, certificate);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

test('a newcomer with a chip of its own is endorsed by one request to the issuer’s node, and claims', async () => {
  const chipsFolder = join(devnet.folder, 'devnet/chips');
  const [own, foreign] = [join(devnet.folder, 'own'), join(devnet.folder, 'foreign')];
  await manufactureEmulator(own, join(chipsFolder, 'authority'));
  await manufactureEmulator(foreign, join(devnet.folder, 'foreign-authority'));
  const settings = await devnet.cli<Record<string, readonly string[]>>(1, 'config', 'show');
  const enter = (home: string, spec: string, consolePort: string) =>
    blocktree([
      ...['--data', home, 'init', '--network', join(devnet.folder, 'devnet/network.json')],
      ...[
        '--tpm-device',
        spec,
        '--tpm-issuer',
        devnet.url(1),
        '--link-host',
        '127.0.0.1',
        '--link-port',
        '0',
      ],
      ...['--link-seeds', (settings['link.seeds'] ?? []).join(','), '--console-port', consolePort],
    ]);
  const chips = [await startEmulator(own), await startEmulator(foreign)];
  const homes = chips.map((_, i) => join(devnet.folder, `home-${i}`));
  const consolePort = String(Number(new URL(devnet.url(1)).port) + 50);
  const machine = new Machine(homes[0] as string, Number(consolePort));
  try {
    for (const [i, { spec }] of chips.entries()) await enter(homes[i] as string, spec, consolePort);
    await overTls(devnet.url(1), async (address, certificate) => {
      const words = ['--data', homes[0] as string, 'tpm', 'request', '--issuer', address];
      await assert.rejects(
        blocktree(words),
        (error) => error instanceof Refusal && error.code === 'issuer-unreachable',
      );
      const [program, ...rest] = commandLine('--json', ...words);
      const env = { ...process.env, NODE_EXTRA_CA_CERTS: certificate };
      const { stdout } = await promisify(execFile)(program as string, rest, { env });
      assert.equal(JSON.parse(stdout).denominationGrains, '10000000000000');
    });
    await machine.cli('tpm', 'request');
    await assert.rejects(
      blocktree(['--data', homes[1] as string, 'tpm', 'request']),
      (error) => error instanceof Refusal && error.code === 'emulator-refused',
    );
    await machine.start();
    await machine.cli('tpm', 'claim');
    const { claimed } = await machine.cli<ChipStatus>('tpm', 'info');
    assert.equal(claimed?.denominationGrains, '10000000000000');
    await machine.cli(
      'wallet',
      'send',
      (await devnet.cli<{ accountId: string }>(2, 'wallet', 'address')).accountId,
      '1',
    );
  } finally {
    await machine.stop();
    await Promise.all(chips.map((chip) => chip.stop()));
  }
});

test('nodes and chips end with the process that started them, however it ends', async () => {
  await devnet.killParent();
  await until(() => processes().length === 0, 15_000, `the end of ${processes().join(' | ')}`);
});

test('the network comes back with the same chips', async () => {
  await devnet.start();
  for (const [n, before] of chips) assert.deepEqual(await chipOf(n), before);
  await devnet.stop();
  assert.deepEqual(processes(), []);
});

/** What the command line says when it fails. */
async function refusal(environment: NodeJS.ProcessEnv, ...words: string[]): Promise<unknown> {
  const env = { ...process.env, ...environment };
  const [program, ...rest] = commandLine('--json', ...words);
  return promisify(execFile)(program as string, rest, { env }).then(
    () => assert.fail('it did not fail'),
    ({ code, stdout }) => [code, JSON.parse(stdout.split('\n').at(-2)).error],
  );
}

test('a network keeps the kind of TPM it was made with', async () => {
  const [code, error] = (await refusal({}, '--data', devnet.folder, 'devnet', '--tpm', 'software')) as [
    number,
    { code: string; message: string },
  ];
  assert.deepEqual([code, error.code], [1, 'exists']);
  assert.match(error.message, /made with --tpm emulator, not software/);
});

test('without swtpm it says what to install', async () => {
  const data = join(devnet.folder, 'elsewhere');
  const [code, error] = (await refusal(
    { PATH: '/nonexistent' },
    '--data',
    data,
    'devnet',
    '--tpm',
    'emulator',
  )) as [number, { code: string; message: string }];
  assert.deepEqual([code, error.code], [1, 'not-installed']);
  assert.match(error.message, /apt-get install swtpm swtpm-tools/);
});
