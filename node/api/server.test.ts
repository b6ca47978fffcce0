import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ConsoleFixture } from '../../test/support/console-fixture.ts';
import type { BlocktreeNode } from '../node.ts';
import type { Access } from './access.ts';
import type { Console } from './console.ts';
import { buildConsole } from './server.ts';

let fixture: ConsoleFixture;
let node: BlocktreeNode;
let app: Console;
let access: Access;
const as: ConsoleFixture['as'] = (...given) => fixture.as(...given);

before(async () => {
  fixture = await ConsoleFixture.start();
  ({ node, app, access } = fixture);
});
after(() => fixture?.stop());

test('problems say what was expected, with a stable code', async () => {
  const cases: [string, string, unknown, number, string][] = [
    ['GET', '/ledger/accounts/nonsense', undefined, 422, 'malformed'],
    ['GET', '/ledger/blocks/999999', undefined, 404, 'not-found'],
    ['GET', '/ledger/blocks?cursor=zzz', undefined, 400, 'bad-cursor'],
    ['GET', '/ledger/nodes?cursor=zzz', undefined, 400, 'bad-cursor'],
    ['GET', `/ledger/nodes?cursor=${'f'.repeat(66)}%2F..`, undefined, 400, 'bad-cursor'],
    ['GET', '/ledger/offers?cursor=%EF%BF%BF', undefined, 400, 'bad-cursor'],
    ['GET', '/ledger/contracts?cursor=1', undefined, 400, 'bad-cursor'],
    ['GET', '/ledger/contracts?side=neither', undefined, 400, 'bad-request'],
    ['GET', '/host/contracts?cursor=1', undefined, 400, 'bad-cursor'],
    ['GET', '/files?cursor=%2F', undefined, 400, 'bad-cursor'],
    ['GET', '/ledger/blocks?limit=9999', undefined, 400, 'bad-request'],
    ['GET', '/ledger/blocks?limit=true', undefined, 400, 'bad-request'],
    ['GET', '/ledger/blocks?limit=1.9', undefined, 400, 'bad-request'],
    ['GET', '/ledger/blocks?limit=0x10', undefined, 400, 'bad-request'],
    ['GET', '/ledger/blocks?limit=', undefined, 400, 'bad-request'],
    ['GET', '/ledger/blocks?limit=1&limit=2', undefined, 400, 'bad-request'],
    ['GET', '/ledger/periods/1e2', undefined, 400, 'bad-request'],
    ['GET', '/ledger/blocks/-1', undefined, 422, 'malformed'],
    ['GET', `/ledger/tpms/${'a'.repeat(64)}/proof?epoch=1`, undefined, 404, 'not-found'],
    ['GET', '/%zz', undefined, 400, 'bad-url'],
    ['GET', '/files/%zz', undefined, 400, 'bad-url'],
    ['GET', `/ledger/blocks/${'9'.repeat(5_000)}`, undefined, 414, 'max-param-length'],
    ['DELETE', '/ledger/head', undefined, 405, 'method-not-allowed'],
    ['PATCH', '/files/a/b', undefined, 405, 'method-not-allowed'],
    ['GET', '/wallet/transfers', undefined, 405, 'method-not-allowed'],
    ['GET', '/jobs/none', undefined, 404, 'not-found'],
    ['POST', '/host/volumes', { folder: '/proc/blocktree', limitBytes: 1_048_576 }, 422, 'bad-folder'],
    ['POST', '/host/volumes', { folder: '/proc/1/a/b/c', limitBytes: 1_048_576 }, 422, 'bad-folder'],
    ['POST', '/host/volumes', { folder: '/proc/', limitBytes: 1_048_576 }, 422, 'bad-folder'],
    ['POST', '/host/volumes', { folder: '/sys/blocktree', limitBytes: 1_048_576 }, 422, 'bad-folder'],
    ['POST', '/host/volumes', { folder: '/dev/null', limitBytes: 1_048_576 }, 422, 'bad-folder'],
    ['POST', '/host/volumes', { folder: '/dev/null/below', limitBytes: 1_048_576 }, 422, 'bad-folder'],
    ['POST', '/host/volumes', { folder: 'relative', limitBytes: 1_048_576 }, 400, 'bad-request'],
    ['POST', '/host/volumes', { folder: '/x\0y', limitBytes: 1_048_576 }, 422, 'bad-folder'],
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
    assert.match(String(answer.headers['content-type']), /^application\/problem\+json/, path);
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

test('another site that names itself after this machine is not answered; this machine is, by all its names', async () => {
  const statusOf = async (host: string) =>
    (await app.inject({ url: '/api/v1/ledger/head', headers: { host } })).statusCode;
  for (const host of ['127.0.0.1:7070', '127.9.9.9', '[::1]:7070', '[::1]', 'localhost:1', 'LocalHost'])
    assert.equal(await statusOf(host), 200, host);
  for (const host of [
    'evil.example:7070',
    '127.0.0.1.evil.example',
    'localhost.evil.example',
    '[::1].evil',
    '10.0.0.1',
  ])
    assert.equal(await statusOf(host), 421, host);
});

test('a revoked token is useless, and secrets are kept as hashes in private files', async () => {
  const created = (await as('owner', 'POST', '/tokens', { name: 'script', role: 'viewer' })).json();
  const withToken = () =>
    app.inject({ url: '/api/v1/wallet', headers: { authorization: `Bearer ${created.token}` } });
  assert.equal((await withToken()).statusCode, 200);
  assert.equal((await as('owner', 'DELETE', `/tokens/${created.id}`)).statusCode, 204);
  assert.equal((await withToken()).statusCode, 401);
  const { dataFolder } = node.options;
  assert(!readFileSync(join(dataFolder, 'access.json'), 'utf8').includes(fixture.tokens.owner));
  for (const file of ['access.json', 'api-token', 'keys.json', 'tpm.json'])
    assert.equal(statSync(join(dataFolder, file)).mode & 0o077, 0, file);
});

test('metrics are there in base units', async () => {
  const text = (await as('viewer', 'GET', '/metrics')).body;
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
  const bare = await buildConsole(node, access, { dashboardFolder: join(fixture.folder, 'no-pages-here') });
  const answer = await bare.inject('/wallet');
  await bare.close();
  assert.equal(answer.statusCode, 404);
  assert.equal(answer.json().code, 'not-found');
});

test('a wrong method is told which ones are right', async () => {
  const answer = await as('owner', 'DELETE', '/ledger/head');
  assert.deepEqual(String(answer.headers.allow).split(', ').sort(), ['GET', 'HEAD']);
});

test('a body of another type than JSON is refused where JSON is wanted', async () => {
  const answer = await as('owner', 'POST', '/tokens', 'name=x', { 'content-type': 'text/csv' });
  assert.equal(answer.statusCode, 415);
  assert.equal(answer.json().code, 'ctp-invalid-media-type');
});

test('pages follow each other without a gap, and the last one says so', async () => {
  const whole = (await as('nobody', 'GET', '/ledger/blocks?limit=200')).json();
  assert.equal(whole.nextCursor, null);
  const heights: number[] = [];
  let cursor: string | null = '';
  for (let pages = 0; cursor !== null; pages++) {
    assert(pages <= whole.items.length, 'pages end');
    const query: string = cursor === '' ? '' : `&cursor=${cursor}`;
    const answer = (await as('nobody', 'GET', `/ledger/blocks?limit=2${query}`)).json();
    heights.push(...answer.items.map(({ height }: { height: number }) => height));
    ({ nextCursor: cursor } = answer);
  }
  const all: number[] = whole.items.map(({ height }: { height: number }) => height);
  assert.deepEqual(heights.slice(-all.length), all);
  assert.equal(all.at(-1), 0);
});

test('a volume is the same volume however its folder is written', async () => {
  const folder = join(fixture.folder, 'disk', 'deep');
  const first = await as('operator', 'POST', '/host/volumes', { folder, limitBytes: 1_048_576 });
  assert.equal(first.statusCode, 201, first.body);
  const second = await as('operator', 'POST', '/host/volumes', {
    folder: `${folder}/../deep/`,
    limitBytes: 1_048_576,
  });
  assert.equal(second.json().code, 'exists');
  assert.equal((await as('operator', 'DELETE', `/host/volumes/${first.json().id}`)).statusCode, 204);
});

test('a block whose body is pruned says so, and so does a transaction in it', async () => {
  const { height } = (await as('owner', 'GET', '/ledger/head')).json();
  const before = (await as('owner', 'GET', `/ledger/blocks/${height}`)).json();
  assert.equal(before.pruned, false);
  await node.chain.store.cutBodies(1, height);
  const block = (await as('owner', 'GET', `/ledger/blocks/${height}`)).json();
  assert.deepEqual(block, { ...before, pruned: true, transactionCount: null, transactions: [] });
  const [listed] = (await as('owner', 'GET', '/ledger/blocks?limit=1')).json().items;
  assert.equal(listed.pruned, true);
  assert.equal((await as('owner', 'GET', '/ledger/head')).json().id, before.id);
  const transaction = await as('owner', 'GET', `/ledger/transactions/${before.transactions[0].id}`);
  assert.equal(transaction.statusCode, 410);
  assert.equal(transaction.json().code, 'pruned');
});

test('an offer is judged before it is announced: what it brings, how it stands, what it does to the score', async () => {
  const ask = async (price: string, collateral: number) =>
    (
      await as(
        'viewer',
        'GET',
        `/host/offer/outlook?priceGrainsPerGiBPeriod=${price}&collateralPercent=${collateral}`,
      )
    ).json();
  const offer = { priceGrainsPerGiBPeriod: '7', egressGrainsPerGiB: '1', collateralPercent: 50 };
  const announced = await as('owner', 'PUT', '/host/offer', {
    offer: { ...offer, periodsMin: 1, periodsMax: 9 },
  });
  assert.equal(announced.statusCode, 200, announced.body);
  const outlook = await ask('1073741824', 50);
  const offeredBytes = (await as('viewer', 'GET', '/status')).json().storage.offeredBytes;
  assert.equal(outlook.monthWhenFullGrains, String(BigInt(offeredBytes) * 259_200n));
  assert.deepEqual([outlook.otherOffers, outlook.cheaperOffers, outlook.sameOffers], [0, 0, 0]);
  assert.equal(outlook.scoreAgainstNow, 1);
  assert((await ask('7', 200)).scoreAgainstNow > 1);
  assert((await ask('7', 0)).scoreAgainstNow < 1);
  assert.equal((await ask('-7', 0)).code, 'bad-request');
});
