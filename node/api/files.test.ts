import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { ConsoleFixture } from '../../test/support/console-fixture.ts';

/** Files over the API on four real nodes in this process: types, ranges and conditions on real content. */

const content = randomBytes(2_500_000);
let fixture: ConsoleFixture;
let etag = '';

before(async () => {
  fixture = await ConsoleFixture.start(4);
  const stored = await put('movie', content, 'application/octet-stream');
  assert.equal(stored.statusCode, 201, stored.body);
  etag = `"${stored.json().sha256}"`;
});
after(() => fixture?.stop());

function put(name: string, body: Buffer | string, type: string) {
  return fixture.as('owner', 'PUT', `/files/${name}?redundancy=1%2B1`, body, { 'content-type': type });
}
function get(name: string, headers: Record<string, string> = {}) {
  return fixture.as('viewer', 'GET', `/files/${name}`, undefined, headers);
}

test('content of any type is stored as it is, whatever its size', async () => {
  const cases: [type: string, body: string][] = [
    ['application/json', `{"not": "parsed"${' '.repeat(400_000)}`],
    ['application/json; charset=utf-8', ''],
    ['text/plain', 'plain'],
    ['text/html', '<p>'.repeat(120_000)],
    ['multipart/form-data; boundary=x', '--x'],
    ['application/x-www-form-urlencoded', 'a=b&c'],
  ];
  for (const [n, [type, body]] of cases.entries()) {
    const answer = await put(`typed-${n}`, body, type);
    assert.equal(answer.statusCode, 201, `${type}: ${answer.body}`);
    assert.equal((await get(`typed-${n}`)).body, body, type);
  }
});

test('a request without a body and without a length is an empty file', async () => {
  const answer = await fixture.as('owner', 'PUT', '/files/nothing?redundancy=1%2B1');
  assert.equal(answer.statusCode, 201, answer.body);
  assert.equal(answer.json().sizeBytes, 0);
  const back = await get('nothing');
  assert.equal(back.rawPayload.length, 0);
  assert.equal((await get('nothing', { range: 'bytes=0-' })).statusCode, 416);
});

test('ranges give those bytes and no others', async () => {
  const size = content.length;
  const cases: [range: string, from: number, to: number][] = [
    ['bytes=0-0', 0, 1],
    ['bytes=0-1048576', 0, 1_048_577],
    ['bytes=1048575-1048576', 1_048_575, 1_048_577],
    ['bytes=2499999-', 2_499_999, size],
    [`bytes=5-${size + 100}`, 5, size],
    ['bytes=-3', size - 3, size],
    [`bytes=-${size * 2}`, 0, size],
  ];
  for (const [range, from, to] of cases) {
    const answer = await get('movie', { range });
    assert.equal(answer.statusCode, 206, range);
    assert.equal(answer.headers['content-range'], `bytes ${from}-${to - 1}/${size}`);
    assert.equal(answer.headers['content-length'], String(to - from));
    assert(answer.rawPayload.equals(content.subarray(from, to)), range);
  }
});

test('what is no range, or more than one, gives the whole', async () => {
  for (const range of ['bytes=5-2', 'bytes=-', 'lines=1-2', 'bytes=0-1,4-5', 'bytes=a-b']) {
    const answer = await get('movie', { range });
    assert.equal(answer.statusCode, 200, range);
    assert(answer.rawPayload.equals(content), range);
  }
});

test('a range behind the end is refused with the size', async () => {
  for (const range of [`bytes=${content.length}-`, 'bytes=9999999-10000000', 'bytes=-0']) {
    const answer = await get('movie', { range });
    assert.equal(answer.statusCode, 416, range);
    assert.equal(answer.headers['content-range'], `bytes */${content.length}`);
    assert.equal(answer.json().code, 'bad-range');
  }
});

test('If-Range gives the part only of the content that it names', async () => {
  const part = await get('movie', { range: 'bytes=0-9', 'if-range': etag });
  assert.equal(part.statusCode, 206);
  for (const other of ['"another"', `W/${etag}`, 'Sat, 21 Nov 2026 07:00:00 GMT']) {
    const whole = await get('movie', { range: 'bytes=0-9', 'if-range': other });
    assert.equal(whole.statusCode, 200, other);
    assert(whole.rawPayload.equals(content), other);
  }
});

test('content that the asker has is not sent again', async () => {
  for (const condition of [etag, `W/${etag}`, `"x", ${etag}`, '*']) {
    const answer = await get('movie', { 'if-none-match': condition });
    assert.equal(answer.statusCode, 304, condition);
    assert.equal(answer.rawPayload.length, 0);
    assert.equal(answer.headers.etag, etag);
  }
  assert.equal((await get('movie', { 'if-none-match': '"x"' })).statusCode, 200);
});

test('HEAD tells the size of the whole, and sends nothing', async () => {
  const answer = await fixture.as('viewer', 'HEAD', '/files/movie', undefined, { range: 'bytes=0-9' });
  assert.equal(answer.statusCode, 200);
  assert.equal(answer.headers['content-length'], String(content.length));
  assert.equal(answer.rawPayload.length, 0);
});

test('files are listed page by page, each once and with its share of the cost', async () => {
  const names: string[] = [];
  let shares = 0;
  let cursor: string | null = '';
  while (cursor !== null) {
    const query: string = cursor === '' ? '' : `&cursor=${cursor}`;
    const answer = (await fixture.as('viewer', 'GET', `/files?limit=3${query}`)).json();
    assert(answer.items.length <= 3);
    for (const { name, shareOfCost } of answer.items) {
      names.push(name);
      shares += shareOfCost;
    }
    ({ nextCursor: cursor } = answer);
  }
  const all = (await fixture.as('viewer', 'GET', '/files?limit=200')).json().items;
  assert(names.length > 6);
  assert.deepEqual(
    names,
    all.map(({ name }: { name: string }) => name),
  );
  assert(Math.abs(shares - 1) < 1e-9);
  const one = (await fixture.as('viewer', 'GET', '/files?name=movie')).json();
  assert.deepEqual(
    one.items.map(({ name }: { name: string }) => name),
    ['movie'],
  );
});

test('contracts are listed by side, and pages go on past those that are left out', async () => {
  const { accountId } = (await fixture.as('viewer', 'GET', '/wallet')).json();
  const list = async (query: string) =>
    (await fixture.as('viewer', 'GET', `/ledger/contracts?account=${accountId}&${query}`)).json();
  const renter = await list('side=renter');
  assert(renter.items.length > 1);
  assert(renter.items.every((one: { renterId: string }) => one.renterId === accountId));
  assert.deepEqual((await list('side=host')).items, []);
  const first = await list('side=renter&limit=1');
  const second = await list(`side=renter&limit=1&cursor=${first.nextCursor}`);
  assert.deepEqual([...first.items, ...second.items], renter.items.slice(0, 2));
});

test('an offer is compared with those of the other nodes', async () => {
  const { offer } = (await fixture.as('viewer', 'GET', '/host/offer')).json();
  const price = BigInt(offer.priceGrainsPerGiBPeriod);
  const stand = async (asked: bigint) => {
    const path = `/host/offer/outlook?priceGrainsPerGiBPeriod=${asked}&collateralPercent=50`;
    const { otherOffers, cheaperOffers, sameOffers } = (await fixture.as('viewer', 'GET', path)).json();
    return [otherOffers, cheaperOffers, sameOffers];
  };
  assert.deepEqual(await stand(price), [3, 0, 3]);
  assert.deepEqual(await stand(price + 1n), [3, 3, 0]);
  assert.deepEqual(await stand(price - 1n), [3, 0, 0]);
});

test('a file that cannot be read says so instead of sending half of it', async () => {
  const { files } = fixture.node;
  const lost = await put('lost', 'soon gone', 'text/plain');
  assert.equal(lost.statusCode, 201);
  const { slabs } = files.manifest('lost') ?? assert.fail();
  const roots = slabs.flatMap(({ fragments }) => fragments.map(({ root }) => root));
  for (const { shelf } of fixture.nodes) await shelf.remove(roots);
  const answer = await get('lost');
  assert.equal(answer.statusCode, 503, answer.body);
  assert.equal(answer.json().code, 'not-enough-fragments');
});
