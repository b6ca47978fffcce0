import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { chainIdOf } from '../../ledger/genesis.ts';
import { grains } from '../../ledger/grains.ts';
import { ConsoleFixture } from '../../test/support/console-fixture.ts';
import { createKeystore, type Keys } from '../keys/keystore.ts';
import { askIssuer, issuerEndpoint } from '../tpm/issuer-client.ts';
import { openIssuer } from '../tpm/issuer-desk.ts';
import { IssuerError, type IssuerErrorCode } from '../tpm/issuer-error.ts';
import { openTpm } from '../tpm/open.ts';
import { OwnerDesk } from '../tpm/owner-desk.ts';
import type { Tpm } from '../tpm/tpm.ts';
import { Access } from './access.ts';
import { buildConsole } from './server.ts';

/** An issuer's node over the network: one request endorses a chip; what is no request is refused, and so is a flood. */

let fixture: ConsoleFixture;
let url: string;
let tpm: Tpm;
let keys: Keys;
let desk: OwnerDesk;

before(async () => {
  fixture = await ConsoleFixture.start(2);
  url = await fixture.listen();
  const home = join(fixture.folder, 'newcomer');
  tpm = await openTpm(`software:${join(home, 'tpm.json')}`, 'dev');
  keys = await createKeystore(home, { protection: { kind: 'tpm', tpm } });
  desk = await OwnerDesk.open({ tpm, keys, chainId: chainIdOf(fixture.node.genesis), folder: home });
});
after(() => fixture?.stop());

const refusedWith = (code: IssuerErrorCode) => (error: unknown) =>
  error instanceof IssuerError && (error.code === code || assert.fail(`${error.code}: ${error.message}`));

/** Each from an address of its own, so that only what is under test refuses. */
let address = 0;
const post = (payload: string | object, ip = `10.0.${address >> 8}.${address++ & 255}`) =>
  fixture.app.inject({
    method: 'POST',
    url: '/api/v1/issuer/requests',
    payload,
    remoteAddress: ip,
    headers: { 'content-type': 'application/json' },
  });

test('one request to an issuer’s node endorses a chip, which claims with it', async () => {
  const endorsement = await desk.requestFrom(url);
  assert.equal(endorsement.denominationGrains, 10_000_000_000_000n);
  assert.deepEqual((await desk.claim()).endorsement, desk.endorsement);
  const log = readFileSync(join(fixture.folder, 'devnet/issuer/endorsements.jsonl'), 'utf8');
  assert.ok(log.includes((await tpm.ek()).ekId));
});

test('the answer opens in the chip that asked and in no other', async () => {
  const other = await openTpm(`software:${join(fixture.folder, 'other.json')}`, 'dev');
  const folder = join(fixture.folder, 'thief');
  const thief = await OwnerDesk.open({ tpm: other, keys, chainId: chainIdOf(fixture.node.genesis), folder });
  const answer = await askIssuer(url, await desk.request());
  await assert.rejects(thief.accept(answer), refusedWith('wrong-chip'));
});

test('a chip keeps its denomination, whoever asks the issuer and how', async () => {
  const { issuer } = fixture.node;
  assert.ok(issuer !== undefined);
  const answer = await post(await desk.request());
  assert.equal(answer.statusCode, 200);
  const dearer = await openIssuer(join(fixture.folder, 'devnet'), fixture.node.genesis, grains(1n));
  await assert.rejects(dearer.answer(await desk.request()), refusedWith('denomination-changed'));
});

test('what is no request is refused with a problem of its own, and costs the node nothing', async () => {
  const good = JSON.parse(await desk.request()) as Record<string, unknown>;
  const cases: [string | object, number, string][] = [
    ['{"format":', 400, 'ctp-invalid-json-body'],
    ['null', 400, 'bad-request'],
    [[good], 400, 'bad-request'],
    [{ ...good, format: 'blocktree tpm endorsement 1' }, 400, 'bad-request'],
    [{ ...good, kind: 'tpm1' }, 400, 'bad-request'],
    [{ ...good, endorsementKey: 'zz' }, 400, 'bad-request'],
    [{ ...good, endorsementKey: 'a'.repeat(3) }, 400, 'bad-file'],
    [{ ...good, endorsementKey: 'ab' }, 422, 'endorsement-key'],
    [{ ...good, attestationKey: 'ab' }, 422, 'ak-encoding'],
    [{ ...good, certificates: Array.from({ length: 5 }, () => 'ab') }, 400, 'bad-request'],
    [{ ...good, certificates: ['ab'.repeat(4_097)] }, 400, 'bad-request'],
    [{ ...good, kind: 'tpm2' }, 422, 'certificate-missing'],
    [{ ...good, kind: 'tpm2', certificates: ['abcd'] }, 422, 'certificate-malformed'],
    [{ ...good, chainId: 'ab'.repeat(32) }, 422, 'wrong-chain'],
    [`{"format":"${'x'.repeat(70_000)}"}`, 413, 'oversized'],
  ];
  for (const [body, status, code] of cases) {
    const response = await post(body);
    const problem = response.json() as { code: string };
    assert.deepEqual([response.statusCode, problem.code], [status, code], JSON.stringify(body).slice(0, 80));
    assert.match(response.headers['content-type'] as string, /problem\+json/);
  }
});

test('any JSON is answered with a problem, never with a failure of the node', async () => {
  const good = JSON.parse(await desk.request()) as Record<string, unknown>;
  const field = fc.constantFrom(...Object.keys(good));
  await fc.assert(
    fc.asyncProperty(field, fc.jsonValue(), async (name, value) => {
      const { statusCode } = await post({ ...good, [name]: value });
      assert.ok((statusCode >= 400 && statusCode < 500) || statusCode === 503 || statusCode === 200);
    }),
    { numRuns: 15 },
  );
});

test('an address that asks too often is told to wait, an IPv6 site as a whole; others are not', async () => {
  const nonsense = '{}';
  const codes = async (ips: readonly string[]) => {
    const statusCodes: number[] = [];
    for (const ip of ips) statusCodes.push((await post(nonsense, ip)).statusCode);
    return statusCodes;
  };
  const one = await codes(Array.from({ length: 12 }, () => '192.0.2.1'));
  assert.deepEqual(
    [one.filter((code) => code === 400).length, one.filter((code) => code === 429).length],
    [10, 2],
  );
  const site = await codes(Array.from({ length: 12 }, (_, i) => `2001:db8:1:2::${i.toString(16)}`));
  assert.equal(site.filter((code) => code === 429).length, 2);
  const refused = await post(nonsense, '192.0.2.1');
  assert.equal(refused.json().code, 'too-many-requests');
  assert.ok(Number(refused.headers['retry-after']) > 0);
  assert.deepEqual(await codes(['192.0.2.2']), [400]);
});

test('a node that is no issuer says so', async () => {
  const second = fixture.nodes[1] as (typeof fixture.nodes)[number];
  const app = await buildConsole(second, await Access.open(second.options.dataFolder));
  const response = await app.inject({
    method: 'POST',
    url: '/api/v1/issuer/requests',
    payload: JSON.parse(await desk.request()),
  });
  await app.close();
  assert.deepEqual([response.statusCode, response.json().code], [404, 'not-an-issuer']);
});

test('the dashboard’s way: the request as JSON, an issuer asked, an answer taken', async () => {
  const request = await fixture.as('operator', 'GET', '/tpm/request');
  assert.equal(request.json().format, 'blocktree tpm request 1');
  assert.equal((await fixture.as('viewer', 'GET', '/tpm/request')).statusCode, 403);
  const status = (await fixture.as('viewer', 'GET', '/tpm')).json();
  assert.deepEqual(
    [status.kind, status.claimed.own, status.claimed.here, status.problem],
    ['software', true, true, null],
  );
  const both = await fixture.as('owner', 'POST', '/tpm/endorsement', {});
  assert.deepEqual([both.statusCode, both.json().code], [400, 'bad-request']);
  for (const issuer of ['ftp://x', 'http://issuer.example', 'https://a:b@issuer.example', 'nonsense']) {
    const refused = await fixture.as('owner', 'POST', '/tpm/endorsement', { issuer });
    assert.deepEqual([refused.statusCode, refused.json().code], [422, 'issuer-address'], issuer);
  }
  const wrong = await fixture.as('owner', 'POST', '/tpm/endorsement', {
    answer: JSON.parse(await askIssuer(url, await desk.request())),
  });
  assert.deepEqual([wrong.statusCode, wrong.json().code], [422, 'wrong-chip']);
  const own = await fixture.as('owner', 'POST', '/tpm/endorsement', { issuer: url });
  assert.equal(own.json().endorsement.denominationGrains, '10000000000000');
});

/** What the owner's desk makes of a server that answers this. */
async function askStranger(
  status: number,
  body: string,
  headers: Record<string, string> = {},
): Promise<unknown> {
  const server = createServer((_, response) => response.writeHead(status, headers).end(body));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    return await desk.requestFrom(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

test('an issuer that is none, lies, or says too much is refused by the owner’s side', async () => {
  const problem = (code: string, detail: string) => JSON.stringify({ code, detail });
  await assert.rejects(askStranger(200, 'not JSON'), refusedWith('bad-file'));
  await assert.rejects(askStranger(200, 'x'.repeat(70_000)), refusedWith('issuer-refused'));
  await assert.rejects(askStranger(403, problem('emulator-refused', 'no')), refusedWith('emulator-refused'));
  await assert.rejects(
    askStranger(302, '', { location: 'http://127.0.0.1:1/' }),
    refusedWith('issuer-unreachable'),
  );
  await assert.rejects(askStranger(500, '<html>'), refusedWith('issuer-refused'));
  await assert.rejects(askStranger(429, problem('anything', `\x1b[2J${'a'.repeat(5_000)}`)), (error) => {
    assert.ok(error instanceof IssuerError);
    assert.ok(error.message.length < 400 && !error.message.includes('\x1b'));
    return refusedWith('issuer-refused')(error);
  });
  await assert.rejects(askIssuer('http://127.0.0.1:1', '{}'), refusedWith('issuer-unreachable'));
});

test('an issuer’s address leads to its requests, also below a path', () => {
  assert.equal(
    issuerEndpoint('https://issuer.example').href,
    'https://issuer.example/api/v1/issuer/requests',
  );
  assert.equal(
    issuerEndpoint('https://a.example/tree/').href,
    'https://a.example/tree/api/v1/issuer/requests',
  );
  assert.equal(issuerEndpoint('http://localhost:7071').port, '7071');
  assert.throws(() => issuerEndpoint('http://192.0.2.1'), refusedWith('issuer-address'));
});

test('many addresses together are bounded too', async () => {
  const request = await desk.request();
  const answers = await Promise.all(Array.from({ length: 40 }, () => post(request)));
  const refused = answers.filter(({ statusCode }) => statusCode === 503);
  assert.ok(refused.length > 0 && refused.length < 40);
  for (const one of refused) assert.equal(one.json().code, 'overloaded');
});
