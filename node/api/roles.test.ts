import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ConsoleFixture, type Who } from '../../test/support/console-fixture.ts';
import { buildConsole } from './server.ts';

/** Who may do what, of every route that there is. A route that is new must be added here, by somebody who thought about it. */

const RULES = {
  anybody: [
    'GET /health/live',
    'GET /health/ready',
    'GET /events',
    'GET /openapi.yaml',
    'GET /ledger/head',
    'GET /ledger/blocks',
    'GET /ledger/blocks/:idOrHeight',
    'GET /ledger/tree',
    'GET /ledger/transactions/:id',
    'POST /ledger/transactions',
    'GET /ledger/accounts/:id',
    'GET /ledger/accounts/:id/history',
    'GET /ledger/tpms/:ekId',
    'GET /ledger/accounts/:id/proof',
    'GET /ledger/contracts/:id/proof',
    'GET /ledger/tpms/:id/proof',
    'GET /ledger/genesis',
    'GET /ledger/boundaries',
    'GET /ledger/committee',
    'GET /ledger/contracts',
    'GET /ledger/contracts/:id',
    'GET /ledger/nodes',
    'GET /ledger/offers',
    'GET /ledger/periods/:n',
    'POST /sessions',
    'POST /issuer/requests',
  ],
  viewer: [
    'GET /status',
    'GET /metrics',
    'GET /seat',
    'GET /tpm',
    'GET /wallet',
    'GET /host/offer',
    'GET /host/offer/outlook',
    'GET /host/volumes',
    'GET /host/contracts',
    'GET /host/earnings',
    'GET /host/audits',
    'GET /files',
    'GET /files/*',
    'GET /jobs',
    'GET /jobs/*',
    'GET /peers',
    'GET /alerts',
    'GET /sessions/current',
    'DELETE /sessions/current',
  ],
  operator: [
    'GET /settings',
    'GET /tpm/request',
    'POST /host/volumes',
    'PATCH /host/volumes/:id',
    'DELETE /host/volumes/:id',
  ],
  owner: [
    'POST /tpm/claim',
    'POST /seat',
    'POST /tpm/endorsement',
    'POST /wallet/transfers',
    'PUT /host/offer',
    'POST /recovery',
    'PUT /files/*',
    'DELETE /files/*',
    'POST /sessions/links',
    'GET /tokens',
    'POST /tokens',
    'DELETE /tokens/:id',
  ],
} as const;
const RANKS = ['anybody', 'viewer', 'operator', 'owner'] as const;
const ASKING: Record<Who, number> = { nobody: 0, viewer: 1, operator: 2, owner: 3 };

let fixture: ConsoleFixture;
before(async () => {
  fixture = await ConsoleFixture.start();
});
after(() => fixture?.stop());

test('every route has a rule, and there is a route for every rule', () => {
  const ruled = RANKS.flatMap((role) => RULES[role].map((route) => `${role}: ${route}`));
  const routed = fixture.app.routeTable
    .list()
    .filter(({ method }) => method !== 'HEAD')
    .map(({ method, url, role }) => `${role}: ${method} ${url.replace('/api/v1', '')}`);
  assert.deepEqual(routed.sort(), ruled.sort());
});

test('HEAD asks for the role that GET asks for', () => {
  const all = fixture.app.routeTable.list();
  for (const { url, role } of all.filter(({ method }) => method === 'HEAD'))
    assert.equal(role, all.find((other) => other.method === 'GET' && other.url === url)?.role, url);
});

for (const [rank, role] of RANKS.entries()) {
  test(`routes for ${role} answer to those of that rank and above, and to no other`, async () => {
    for (const route of RULES[role]) {
      const [method, pattern] = route.split(' ') as [string, string];
      // Streams do not end by themselves; they have tests of their own.
      if (pattern === '/events') continue;
      // What it is asked for is not there or no request at all: nobody changes anything, and only the rule is seen.
      const path = pattern.replace(/:\w+|\*/, 'none');
      for (const who of Object.keys(ASKING) as Who[]) {
        const answer = await fixture.as(who, method, path);
        const told = `${method} ${path} as ${who}: ${answer.statusCode}`;
        if (ASKING[who] >= rank) {
          const isBadCode = pattern === '/sessions';
          assert(answer.statusCode !== 403 && (answer.statusCode !== 401 || isBadCode), told);
          assert.notEqual(answer.statusCode, 500, `${told} ${answer.body}`);
        } else {
          assert.equal(answer.statusCode, who === 'nobody' ? 401 : 403, told);
          assert.match(String(answer.headers['content-type']), /^application\/problem\+json/);
        }
      }
    }
  });
}

test('what this node thinks of others is told to those who may read, the ledger to everybody', async () => {
  const [entry] = (await fixture.as('viewer', 'GET', '/ledger/nodes')).json().items;
  const [public_] = (await fixture.as('nobody', 'GET', '/ledger/nodes')).json().items;
  assert.equal(typeof entry.score, 'number');
  assert.equal(typeof entry.connected, 'boolean');
  assert.deepEqual(public_, { ...entry, score: null, scoreFactors: null, connected: null, suspended: null });
});

test('metrics are for those who may read, at the address that Prometheus asks as well', async () => {
  const scrape = (headers: Record<string, string>) => fixture.app.inject({ url: '/metrics', headers });
  assert.equal((await scrape({})).statusCode, 401);
  assert.equal((await scrape(fixture.authorization('viewer'))).statusCode, 200);
});

test('a token that is no token is nobody', async () => {
  for (const authorization of ['Bearer x', `Bearer ${'A'.repeat(43)}`, `Basic ${fixture.tokens.owner}`, '']) {
    const answer = await fixture.app.inject({ url: '/api/v1/wallet', headers: { authorization } });
    assert.equal(answer.statusCode, 401, authorization);
  }
});

test('a route that does not say who may call it does not start', async () => {
  const app = await buildConsole(fixture.node, fixture.access);
  assert.throws(
    () => app.get('/api/v1/forgotten', async () => 'open to all'),
    /does not say who may call it/,
  );
  await app.close();
});
