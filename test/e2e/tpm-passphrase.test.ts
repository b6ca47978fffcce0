import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after, before } from 'node:test';
import { promisify } from 'node:util';
import { toHex, utf8 } from '../../ledger/bytes.ts';
import { publicKeyOf } from '../../ledger/crypto/secp256k1.ts';
import { sha256 } from '../../ledger/crypto/sha256.ts';
import { DEFAULT_PARAMETERS, genesisToJson } from '../../ledger/genesis.ts';
import { type AccountId, type Hash, keyId, type NodeId } from '../../ledger/ids.ts';
import { blocktree, commandLine, Machine, Refusal } from '../support/machine.ts';

/** A machine without a TPM on a public network: a passphrase guards its keys, and it reads without taking part. */

const PASSPHRASE = 'mountain-Straße 🌲 41';
const PORT = 36_000 + 4 * Math.floor(Math.random() * 200);
let folder: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bt-'));
  const key = publicKeyOf(sha256(utf8('founder')));
  const genesis = {
    name: 'passphrase-test',
    timestampMs: Date.now(),
    kind: 'public',
    issuers: [keyId<AccountId>(key)],
    committee: [
      { seatId: toHex(sha256(key)) as Hash, nodeId: keyId<NodeId>(key), accountId: keyId<AccountId>(key) },
    ],
    parameters: DEFAULT_PARAMETERS,
  } as const;
  await writeFile(join(folder, 'network.json'), JSON.stringify(genesisToJson(genesis)));
});
after(() => rm(folder, { recursive: true, force: true }));

const initWords = (home: string, ...more: string[]) => [
  ...['--data', join(folder, home), 'init', '--network', join(folder, 'network.json')],
  ...['--tpm-device', 'none', '--link-port', `${PORT}`, '--console-port', `${PORT + 1}`],
  ...['--link-host', '127.0.0.1', '--log-file', 'node.log', ...more],
];
const backup = (home: string, more: readonly string[] = [], input = '') =>
  blocktree<{ words: string }>(['--data', join(folder, home), 'wallet', 'backup', ...more], input);
const refusedWith = (code: string) => (error: unknown) =>
  error instanceof Refusal &&
  (error.code === code || assert.fail(`${error.code}: ${error.message}`)) &&
  !error.message.includes(PASSPHRASE);

test('a passphrase that is piped in guards the keys, which are nobody else’s to read', async () => {
  await blocktree(initWords('home'), `${PASSPHRASE}\n`);
  const path = join(folder, 'home', 'keys.json');
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  const { protection } = JSON.parse(await readFile(path, 'utf8'));
  assert.deepEqual([protection.kind, protection.scrypt], ['passphrase', { N: 131_072, r: 8, p: 1 }]);
  assert.equal((await backup('home', [], PASSPHRASE)).words.split(' ').length, 24);
});

test('a wrong, a missing and a short passphrase are refused, each with its own words', async () => {
  await assert.rejects(backup('home', [], 'mountain\n'), refusedWith('wrong-passphrase'));
  await assert.rejects(backup('home'), refusedWith('no-passphrase'));
  await assert.rejects(blocktree(initWords('short'), 'seven77\n'), refusedWith('wrong-passphrase'));
  await assert.rejects(blocktree(initWords('none')), refusedWith('no-passphrase'));
  await assert.rejects(stat(join(folder, 'short', 'keys.json')), { code: 'ENOENT' });
  await assert.rejects(blocktree(initWords('home')), refusedWith('exists'));
});

test('a passphrase comes from a file that only its owner reads, or from a descriptor', async () => {
  const path = join(folder, 'passphrase');
  await writeFile(path, `${PASSPHRASE}\nanother line\n`, { mode: 0o644 });
  await assert.rejects(backup('home', ['--passphrase-file', path]), refusedWith('bad-configuration'));
  await chmod(path, 0o600);
  const { words } = await backup('home', ['--passphrase-file', path]);
  const shell = [...commandLine('--data', join(folder, 'home'), 'wallet', 'backup', '--passphrase-fd', '3')];
  const { stdout } = await promisify(execFile)('sh', ['-c', `"$@" 3<"${path}"`, 'sh', ...shell]);
  assert.equal(stdout.trim(), words);
  await assert.rejects(backup('home', ['--passphrase-fd', '99']), refusedWith('bad-configuration'));
  const both = ['--passphrase-fd', '3', '--passphrase-file', path];
  await assert.rejects(backup('home', both), refusedWith('bad-configuration'));
  await assert.rejects(backup('home', ['--passphrase-file', `${path}.no`]), refusedWith('not-found'));
});

test('no argument and no variable carries a passphrase', async () => {
  await assert.rejects(backup('home', ['--passphrase', PASSPHRASE]), { exitCode: 2 });
  const environment = { ...process.env, BLOCKTREE_PASSPHRASE: PASSPHRASE };
  const [program, ...words] = commandLine('--data', join(folder, 'home'), 'config', 'show');
  await assert.rejects(
    promisify(execFile)(program as string, words, { env: environment }),
    (error: { stderr: string }) =>
      /unknown environment variable/.test(error.stderr) && !error.stderr.includes(PASSPHRASE),
  );
});

/** Runs a command on a terminal of its own; types each answer when its question stands there. Gives what was shown. */
async function onTerminal(
  words: readonly string[],
  answers: readonly (readonly [question: string, answer: string])[],
): Promise<{ shown: string; exitCode: number }> {
  const line = words.map((word) => `'${word}'`).join(' ');
  const child = spawn('script', ['-qec', line, '/dev/null'], { stdio: ['pipe', 'pipe', 'inherit'] });
  let shown = '';
  let at = 0;
  const waiting = [...answers];
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    shown += chunk;
    const [next] = waiting;
    if (next === undefined || !shown.slice(at).includes(next[0])) return;
    at = shown.length;
    waiting.shift();
    child.stdin.write(next[1]);
  });
  const exitCode = await new Promise<number>((resolve) => child.once('exit', (code) => resolve(code ?? -1)));
  assert.deepEqual(waiting, [], `never asked; shown: ${shown}`);
  return { shown, exitCode };
}

test('on a terminal it is asked for twice, unseen, and typing errors can be taken back', async () => {
  const twice = [
    ['Passphrase: ', `${PASSPHRASE}x\x7f\r`],
    ['The same again: ', `${PASSPHRASE}\r`],
  ] as const;
  const made = await onTerminal(commandLine(...initWords('typed')), twice);
  assert.equal(made.exitCode, 0, made.shown);
  assert.ok(!made.shown.includes(PASSPHRASE.slice(0, 8)));
  assert.match(made.shown, /Write these 24 words down/);
  const once = [['Passphrase: ', `${PASSPHRASE}\r`]] as const;
  const shown = await onTerminal(commandLine('--data', join(folder, 'typed'), 'wallet', 'backup'), once);
  assert.equal(shown.exitCode, 0, shown.shown);
  assert.ok(!shown.shown.includes(PASSPHRASE.slice(0, 8)));
});

test('two that differ make nothing, and Ctrl-C ends the question', async () => {
  const differ = [
    ['Passphrase: ', `${PASSPHRASE}\r`],
    ['The same again: ', `${PASSPHRASE}!\r`],
  ] as const;
  const refused = await onTerminal(commandLine(...initWords('differ')), differ);
  assert.equal(refused.exitCode, 1);
  assert.match(refused.shown, /the two passphrases differ/);
  await assert.rejects(stat(join(folder, 'differ', 'keys.json')), { code: 'ENOENT' });
  const ended = await onTerminal(commandLine(...initWords('ended')), [['Passphrase: ', 'moun\x03']]);
  assert.equal(ended.exitCode, 130);
});

test('words and passphrase both come by standard input, and the account is the same', async () => {
  const { words } = await backup('home', [], PASSPHRASE);
  const before = JSON.parse(await readFile(join(folder, 'home', 'keys.json'), 'utf8'));
  const again = `${words.split(' ').slice(0, 10).join(' ')}\n${words.split(' ').slice(10).join('\n')}\nquite another\n`;
  await blocktree(initWords('again', '--restore'), again);
  const after = JSON.parse(await readFile(join(folder, 'again', 'keys.json'), 'utf8'));
  assert.equal(after.accountId, before.accountId);
  assert.notEqual(after.nodeId, before.nodeId);
  assert.equal((await backup('again', [], 'quite another')).words, words);
});

test('the node starts with its passphrase, reads the ledger, and says that it cannot claim', async () => {
  const machine = new Machine(join(folder, 'home'), PORT + 1);
  await assert.rejects(machine.start('wrong passphrase\n'), /the passphrase is wrong/);
  await assert.rejects(machine.start(), /a passphrase guards these keys/);
  await machine.start(`${PASSPHRASE}\n`);
  try {
    assert.ok((await machine.get('/ledger/head')) !== undefined);
    await assert.rejects(machine.cli('tpm', 'claim'), refusedWith('no-tpm'));
    await assert.rejects(machine.cli('tpm', 'info'), refusedWith('no-tpm'));
    const { alerts } = await machine.cli<{ alerts: { id: string }[] }>('status');
    assert.ok(alerts.some(({ id }) => id === 'no-tpm'));
  } finally {
    await machine.stop();
  }
  assert.ok(!(await readFile(join(folder, 'home', 'node.log'), 'utf8')).includes(PASSPHRASE));
});
