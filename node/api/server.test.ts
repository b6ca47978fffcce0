import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { until } from '../../test/support/until.ts';
import { loadSettings } from '../config/settings.ts';
import { createDevnet, nodeFolder } from '../devnet/create.ts';
import { type BlocktreeNode, startNode } from '../node.ts';
import { Access } from './access.ts';
import type { Console } from './console.ts';
import { buildConsole } from './server.ts';

const folder = mkdtempSync(join(tmpdir(), 'blocktree-api-'));
let node: BlocktreeNode;
let app: Console;
let access: Access;
const tokens = { viewer: '', operator: '', owner: '' };

before(async () => {
  const data = join(folder, 'devnet');
  await createDevnet(
    { folder: data, nodes: 1, tpm: 'software', periodMs: 10_000, consolePort: 0, linkPort: 0 },
    () => undefined,
  );
  const dataFolder = nodeFolder(data, 1);
  node = await startNode({
    dataFolder,
    settings: loadSettings(dataFolder, { 'link.port': '0', 'link.seeds': '' }),
    version: 'test',
  });
  access = await Access.open(dataFolder);
  app = await buildConsole(node, access, undefined);
  await app.ready();
  for (const role of ['viewer', 'operator', 'owner'] as const)
    tokens[role] = (await access.createToken(role, role)).token;
  const claimed = async (): Promise<boolean> => (await as('owner', 'GET', '/tpm')).json().claimed !== null;
  await until(claimed, 10_000, 'the claim');
});
after(async () => {
  await app.close();
  await node.close();
  rmSync(folder, { recursive: true, force: true });
});

type Who = keyof typeof tokens | 'nobody';
function as(who: Who, method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
  return app.inject({
    method: method as 'GET',
    url: `/api/v1${path}`,
    headers: { ...(who === 'nobody' ? {} : { authorization: `Bearer ${tokens[who]}` }), ...headers },
    ...(body === undefined ? {} : { payload: body as object }),
  });
}

test('everybody reads the ledger; everything else wants a login of the right role', async () => {
  for (const path of [
    '/status',
    '/health/live',
    '/ledger/head',
    '/ledger/blocks',
    '/ledger/tree',
    '/ledger/contracts',
    '/ledger/nodes',
    '/ledger/offers',
  ]) {
    assert.equal((await as('nobody', 'GET', path)).statusCode, 200, path);
  }
  const reads = [
    '/tpm',
    '/wallet',
    '/host/offer',
    '/host/volumes',
    '/host/contracts',
    '/host/earnings',
    '/host/audits',
    '/files',
    '/jobs',
    '/peers',
    '/alerts',
  ];
  for (const path of reads) {
    assert.equal((await as('nobody', 'GET', path)).statusCode, 401, path);
    assert.equal((await as('viewer', 'GET', path)).statusCode, 200, path);
  }
  const matrix: [string, string, unknown, Who, number][] = [
    ['POST', '/wallet/transfers', { to: 'x', amountGrains: '1' }, 'operator', 403],
    ['POST', '/tpm/claim', undefined, 'operator', 403],
    ['PUT', '/host/offer', { offer: null }, 'operator', 403],
    ['PUT', '/files/a', undefined, 'viewer', 403],
    ['DELETE', '/files/a', undefined, 'viewer', 403],
    ['POST', '/host/volumes', { folder: '/x', limitBytes: 1_048_576 }, 'viewer', 403],
    ['GET', '/tokens', undefined, 'operator', 403],
    ['POST', '/tokens', { name: 'x', role: 'owner' }, 'nobody', 401],
  ];
  for (const [method, path, body, who, status] of matrix) {
    const answer = await as(who, method, path, body);
    assert.equal(answer.statusCode, status, `${method} ${path} as ${who}`);
    assert.match(String(answer.headers['content-type']), /^application\/problem\+json/);
  }
});

test('problems say what was expected, with a stable code', async () => {
  const cases: [string, string, unknown, number, string][] = [
    ['GET', '/ledger/accounts/nonsense', undefined, 422, 'malformed'],
    ['GET', '/ledger/blocks/999999', undefined, 404, 'not-found'],
    ['GET', '/ledger/blocks?cursor=zzz', undefined, 400, 'bad-cursor'],
    ['GET', '/ledger/blocks?limit=9999', undefined, 400, 'bad-request'],
    ['GET', '/ledger/transactions/12', undefined, 422, 'malformed'],
    ['POST', '/ledger/transactions', { transaction: 'zz' }, 422, 'malformed'],
    ['POST', '/ledger/transactions', { transaction: '00'.repeat(40) }, 422, 'malformed'],
    ['POST', '/wallet/transfers', { to: 'acorn1x', amountGrains: '1' }, 422, 'malformed'],
    ['POST', '/wallet/transfers', { to: 'acorn1x', amountGrains: '-1' }, 400, 'bad-request'],
    ['POST', '/wallet/transfers', { nonsense: true }, 400, 'bad-request'],
    ['GET', '/files/none', undefined, 404, 'not-found'],
    ['PUT', '/files/lonely', undefined, 503, 'not-enough-hosts'],
    ['DELETE', '/host/volumes/none', undefined, 404, 'unknown-volume'],
    ['GET', '/nothing/here', undefined, 404, 'not-found'],
    ['POST', '/sessions', { code: 'not-a-code-at-all' }, 401, 'bad-code'],
  ];
  for (const [method, path, body, status, code] of cases) {
    const answer = await as('owner', method, path, body);
    assert.equal(answer.statusCode, status, `${method} ${path}: ${answer.body}`);
    assert.equal(answer.json().code, code, `${method} ${path}`);
    assert(answer.json().detail.length > 10);
  }
  const large = await as('owner', 'POST', '/wallet/transfers', {
    to: 'x'.repeat(300_000),
    amountGrains: '1',
  });
  assert.equal(large.statusCode, 413);
});

test('an Idempotency-Key makes a repeated transfer one transfer', async () => {
  const own = (await as('owner', 'GET', '/wallet')).json();
  const body = { to: own.accountId, amountGrains: '5' };
  const key = { 'idempotency-key': 'lunch-1' };
  const first = await as('owner', 'POST', '/wallet/transfers', body, key);
  assert.equal(first.statusCode, 200, first.body);
  const second = await as('owner', 'POST', '/wallet/transfers', body, key);
  assert.deepEqual(second.json(), first.json());
  assert.equal((await as('owner', 'GET', '/wallet')).json().nonce, own.nonce + 1);
  const other = await as('owner', 'POST', '/wallet/transfers', { ...body, amountGrains: '6' }, key);
  assert.equal(other.json().code, 'idempotency-conflict');
});

test('a login code works once; a session is only good for the page itself', async () => {
  const code = access.loginCode();
  const answer = await as('nobody', 'POST', '/sessions', { code });
  assert.equal(answer.statusCode, 201);
  const cookie = String(answer.headers['set-cookie']);
  assert.match(cookie, /HttpOnly/);
  assert.match(cookie, /SameSite=Strict/);
  assert.equal((await as('nobody', 'POST', '/sessions', { code })).statusCode, 401);
  const session = { cookie: cookie.split(';')[0] as string, host: '127.0.0.1:7071' };
  assert.equal((await as('nobody', 'GET', '/wallet', undefined, session)).statusCode, 200);
  const token = { name: 'x', role: 'viewer' };
  assert.equal((await as('nobody', 'POST', '/tokens', token, session)).json().code, 'wrong-origin');
  assert.equal(
    (await as('nobody', 'POST', '/tokens', token, { ...session, origin: 'http://evil.example' })).json().code,
    'wrong-origin',
  );
  assert.equal(
    (await as('nobody', 'POST', '/tokens', token, { ...session, origin: 'http://127.0.0.1:7071' }))
      .statusCode,
    201,
  );
  assert.equal(
    (
      await as('nobody', 'DELETE', '/sessions/current', undefined, {
        ...session,
        origin: 'http://127.0.0.1:7071',
      })
    ).statusCode,
    204,
  );
  assert.equal((await as('nobody', 'GET', '/wallet', undefined, session)).statusCode, 401);
});

test('another site that names itself after this machine is not answered', async () => {
  const answer = await app.inject({ url: '/api/v1/status', headers: { host: 'evil.example:7070' } });
  assert.equal(answer.json().code, 'wrong-host');
});

test('a revoked token is useless, and secrets are kept as hashes in private files', async () => {
  const created = (await as('owner', 'POST', '/tokens', { name: 'script', role: 'viewer' })).json();
  const withToken = () =>
    app.inject({ url: '/api/v1/wallet', headers: { authorization: `Bearer ${created.token}` } });
  assert.equal((await withToken()).statusCode, 200);
  assert.equal((await as('owner', 'DELETE', `/tokens/${created.id}`)).statusCode, 204);
  assert.equal((await withToken()).statusCode, 401);
  const { dataFolder } = node.options;
  assert(!readFileSync(join(dataFolder, 'access.json'), 'utf8').includes(tokens.owner));
  for (const file of ['access.json', 'api-token', 'keys.json', 'tpm.json'])
    assert.equal(statSync(join(dataFolder, file)).mode & 0o077, 0, file);
});

test('metrics are there in base units', async () => {
  const text = (await app.inject('/metrics')).body;
  assert.match(text, /^blocktree_ledger_height \d+/m);
  assert.match(text, /^blocktree_host_earnings_acorns\{kind="total"\} /m);
});

test('of requests with one Idempotency-Key that arrive together, one pays', async () => {
  const own = (await as('owner', 'GET', '/wallet')).json();
  const body = { to: own.accountId, amountGrains: '7' };
  const key = { 'idempotency-key': 'together-1' };
  const answers = await Promise.all([1, 2, 3].map(() => as('owner', 'POST', '/wallet/transfers', body, key)));
  const codes = answers.map((answer) => answer.json().code ?? 'paid').sort();
  assert.deepEqual(codes, ['idempotency-in-progress', 'idempotency-in-progress', 'paid']);
  const again = await as('owner', 'POST', '/wallet/transfers', body, key);
  assert.equal(again.headers['idempotent-replay'], 'true');
  assert.deepEqual(again.json(), answers.find((answer) => answer.statusCode === 200)?.json());
  assert.equal((await as('owner', 'GET', '/wallet')).json().nonce, own.nonce + 1);
});

test('tokens made and revoked at the same moment are all made and all revoked', async () => {
  const made = await Promise.all([1, 2, 3, 4].map((n) => access.createToken(`t${n}`, 'viewer')));
  assert.deepEqual(
    made.map(({ token }) => access.roleOf(token)),
    Array(4).fill('viewer'),
  );
  await Promise.all([...made.map(({ id }) => access.revoke(id)), access.createToken('later', 'viewer')]);
  assert.deepEqual(
    made.map(({ token }) => access.roleOf(token)),
    Array(4).fill(undefined),
  );
});

test('an offer that is refused changes nothing: what was withdrawn stays withdrawn', async () => {
  assert.equal((await as('owner', 'PUT', '/host/offer', { offer: null })).statusCode, 200);
  assert(node.store.get('offer-withdrawn') !== undefined);
  const bad = { priceGrainsPerGiBPeriod: '1', egressGrainsPerGiB: '1', collateralPercent: 1 };
  const answer = await as('owner', 'PUT', '/host/offer', { offer: { ...bad, periodsMin: 5, periodsMax: 2 } });
  assert.equal(answer.json().code, 'bad-offer');
  assert(node.store.get('offer-withdrawn') !== undefined);
});

test('a node without built pages says so where a page would be', async () => {
  const bare = await buildConsole(node, access, join(folder, 'no-pages-here'));
  const answer = await bare.inject('/wallet');
  await bare.close();
  assert.equal(answer.statusCode, 404);
  assert.equal(answer.json().code, 'not-found');
});
