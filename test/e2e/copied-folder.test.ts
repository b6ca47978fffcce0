import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Devnet } from '../support/devnet.ts';
import { freePorts } from '../support/free-ports.ts';
import { until } from '../support/until.ts';

/** The folder of a member is copied and both run under load; then the first one is suspended for a while, as a laptop is. */

const MEMBERS = 4;
const devnet = new Devnet({ periodMs: 60_000, nodes: MEMBERS, epochMs: 5_000 });
const first = join(devnet.folder, 'devnet', String(MEMBERS));
const second = join(devnet.folder, 'devnet', 'copy');
let copy: ChildProcess | undefined;
let copyUrl = '';
before(() => devnet.start());
after(async () => {
  if (copy?.exitCode === null) copy.kill('SIGKILL');
  await devnet.remove();
});

interface Node {
  readonly url: string;
  readonly folder: string;
}
interface Seat {
  readonly member: boolean;
  readonly voting: boolean;
  readonly convicted: boolean;
}

async function resource<T>({ url, folder }: Node, path: string, init: RequestInit = {}): Promise<T> {
  const token = readFileSync(join(folder, 'api-token'), 'utf8').trim();
  const response = await fetch(`${url}/api/v1${path}`, {
    ...init,
    signal: AbortSignal.timeout(20_000),
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
  });
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return (await response.json()) as T;
}

const seatOf = (node: Node): Promise<Seat | undefined> =>
  resource<Seat>(node, '/seat').catch(() => undefined);
async function twinAlert(node: Node): Promise<{ title: string; whatToDo: string } | undefined> {
  const { items } = await resource<{ items: { id: string; title: string; whatToDo: string }[] }>(
    node,
    '/alerts',
  );
  return items.find(({ id }) => id === 'twin');
}

test('a copy does not vote while the first one lives, takes over while that is suspended, and nobody is convicted', async () => {
  await devnet.kill(MEMBERS);
  cpSync(first, second, { recursive: true });
  devnet.startNode(MEMBERS);
  const original: Node = { url: devnet.url(MEMBERS), folder: first };
  await until(async () => (await seatOf(original))?.voting === true, 30_000, 'the first one to vote');

  let working = true;
  let sent = 0;
  const payer: Node = { url: devnet.url(1), folder: join(devnet.folder, 'devnet', '1') };
  const { accountId } = await resource<{ accountId: string }>(payer, '/status');
  const load = (async () => {
    for (; working; sent++) {
      const body = JSON.stringify({ to: accountId, amountGrains: '1000', memo: String(sent) });
      await resource(payer, '/wallet/transfers', { method: 'POST', body });
    }
  })();

  const port = await freePorts(2);
  copyUrl = `http://127.0.0.1:${port}`;
  const main = fileURLToPath(new URL('../../dist/node/cli/main.js', import.meta.url));
  const link = `127.0.0.1:${port + 1}`;
  copy = spawn(
    process.execPath,
    [
      ...[main, 'start', '--data', second, '--console-port', String(port)],
      ...['--link-port', String(port + 1), '--link-advertise', link],
    ],
    { stdio: 'ignore' },
  );
  const copied: Node = { url: copyUrl, folder: second };
  const before = sent;
  await until(
    async () => {
      const seat = await seatOf(copied);
      assert(seat === undefined || !seat.voting, 'the copy votes');
      const alerts = await Promise.all(
        [copied, original].map((node) => twinAlert(node).catch(() => undefined)),
      );
      return sent > before + 100 && alerts.every((alert) => alert !== undefined);
    },
    60_000,
    'both owners to be told',
  );
  assert.match((await twinAlert(copied))?.whatToDo ?? '', /Others refuse this one/);
  assert.match((await twinAlert(original))?.whatToDo ?? '', /Others refuse the second one/);
  assert.equal((await seatOf(original))?.voting, true);

  const pid = execFileSync('pgrep', ['-f', `start --data ${first}$`], { encoding: 'utf8' }).trim();
  process.kill(Number(pid), 'SIGSTOP');
  await until(async () => (await seatOf(copied))?.voting === true, 60_000, 'the copy to take over');
  const during = sent;
  await until(() => sent > during + 50, 30_000, 'blocks with its votes');
  process.kill(Number(pid), 'SIGCONT');
  const woken = sent;
  await until(
    async () => {
      const alert = await twinAlert(original).catch(() => undefined);
      return alert !== undefined && /Others refuse this one/.test(alert.whatToDo) && sent > woken + 100;
    },
    30_000,
    'the first one to be refused',
  );
  const states = await Promise.all([original, copied].map(seatOf));
  assert.deepEqual(
    states.map((seat) => [seat?.voting, seat?.convicted]),
    [
      [false, false],
      [true, false],
    ],
  );

  copy.kill('SIGKILL');
  await once(copy, 'exit');
  await until(async () => (await seatOf(original))?.voting === true, 60_000, 'the first one to vote again');
  working = false;
  await load;
  for (let n = 1; n <= MEMBERS; n++) {
    const seat = await seatOf({ url: devnet.url(n), folder: join(devnet.folder, 'devnet', String(n)) });
    assert.equal(seat?.convicted, false, `node ${n}`);
  }
});
