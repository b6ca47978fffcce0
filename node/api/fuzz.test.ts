import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { ConsoleFixture } from '../../test/support/console-fixture.ts';

/** Every endpoint with requests of every kind of nonsense: an answer or a problem, never a failure, and a node that lives. */

const RUNS_PER_ROUTE = 60;
let fixture: ConsoleFixture;
let asked = 0;
before(async () => {
  fixture = await ConsoleFixture.start();
});
after(() => fixture?.stop());

interface Operation {
  readonly parameters?: readonly { readonly name: string; readonly in: string }[];
  readonly requestBody?: {
    readonly content: Record<string, { readonly schema: { readonly properties?: object } }>;
  };
}

/** What is almost right is refused further in than what is plainly wrong. */
const awkward = fc.oneof(
  fc.constantFrom(
    '',
    '0',
    '-1',
    '1e9',
    '9007199254740993',
    '18446744073709551616',
    '..',
    '../../etc/passwd',
    '%2e%2e',
    '%',
    '\u0000',
    '\ufeff',
    '\ud800',
    'é'.repeat(700),
    '__proto__',
    'constructor',
    'null',
    'a'.repeat(64),
    'f'.repeat(66),
    '000000000001.000001',
    '000000000001.000001i',
    'acorn1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq',
    'bytes=0-',
    '2+3',
    '99+99',
    'true',
  ),
  fc.string({ maxLength: 80, unit: 'binary' }),
  fc.stringMatching(/^[0-9a-f]{64}$/),
);
const value = fc.oneof(awkward, fc.jsonValue({ maxDepth: 2 }), fc.integer(), fc.constant(null));

/** A string that may stand in an address: lone surrogates have no UTF-8. */
const inAddress = (text: string): string => encodeURIComponent(Buffer.from(text, 'utf8').toString('utf8'));

interface Sent {
  readonly url: string;
  readonly headers: Record<string, string>;
  readonly payload: string | undefined;
}

function requests(pattern: string, operation: Operation): fc.Arbitrary<Sent> {
  const { parameters = [], requestBody } = operation;
  const queryNames = parameters.filter((one) => one.in === 'query').map(({ name }) => name);
  const properties = Object.values(requestBody?.content ?? {}).flatMap(({ schema }) =>
    Object.keys(schema.properties ?? {}),
  );
  const part = fc.oneof(
    awkward.map(inAddress),
    fc.webPath({ size: 'small' }).map((path) => path.slice(1)),
  );
  const url = fc
    .tuple(
      fc.array(part, { minLength: 4, maxLength: 4 }),
      fc.dictionary(fc.oneof(fc.constantFrom('x', ...queryNames), awkward), awkward, { maxKeys: 4 }),
    )
    .map(([parts, query]) => {
      let at = 0;
      const path = pattern.replaceAll(/\{[^}]+\}/g, () => parts[at++ % parts.length] as string);
      const pairs = Object.entries(query).map(([name, text]) => `${inAddress(name)}=${inAddress(text)}`);
      return `${path}?${pairs.join('&')}`;
    });
  // A folder that is right would be made, anywhere on this machine.
  const named = properties.filter((name) => name !== 'folder');
  const object = fc.dictionary(fc.constantFrom('x', ...named), value, { maxKeys: 6 });
  const payload = fc.option(
    fc.oneof(
      object.map((one) => JSON.stringify(one)),
      fc.json(),
      fc.string({ unit: 'binary' }),
    ),
    { nil: undefined },
  );
  const header = fc.string({ maxLength: 40 }).filter((text) => /^[\x21-\x7e]*$/.test(text));
  const headers = fc.record(
    {
      'content-type': fc.constantFrom('application/json', 'text/plain', 'x', 'application/json; charset=x'),
      range: fc.oneof(fc.constantFrom('bytes=0-0', 'bytes=-5', 'bytes=9-', 'bytes=a-b'), header),
      'if-range': header,
      'if-none-match': header,
      'idempotency-key': header,
      'last-event-id': header,
    },
    { requiredKeys: [] },
  );
  return fc.record({ url, headers, payload });
}

test('nonsense is answered with a problem, at every endpoint, and nothing of it ends the node', async () => {
  const { paths } = fixture.app.swagger() as unknown as { paths: Record<string, Record<string, Operation>> };
  const routes = Object.entries(paths).flatMap(([pattern, item]) =>
    Object.entries(item).map(([method, operation]) => ({ pattern, method, operation })),
  );
  assert(routes.length > 40);
  for (const { pattern, method, operation } of routes) {
    // A stream does not end by itself.
    if (pattern.endsWith('/events')) continue;
    await fc.assert(
      fc.asyncProperty(requests(pattern, operation), async ({ url, headers, payload }) => {
        const answer = await fixture.app.inject({
          method: method.toUpperCase() as 'GET',
          url,
          // Each from an address of its own, so that the limit of requests an address lets all of them in.
          remoteAddress: `127.${++asked >> 16}.${(asked >> 8) & 255}.${asked & 255}`,
          headers: { ...fixture.authorization('owner'), ...headers },
          ...(payload === undefined ? {} : { payload }),
        });
        const told = `${method} ${url}: ${answer.statusCode} ${answer.body.slice(0, 300)}`;
        assert.notEqual(answer.statusCode, 500, told);
        if (answer.statusCode < 400) return;
        assert.match(String(answer.headers['content-type']), /^application\/problem\+json/, told);
        const { type, title, status, detail, code } = answer.json();
        assert.equal(status, answer.statusCode, told);
        assert(detail.length > 0 && title.length > 0, told);
        assert.match(code, /^[a-z][a-z0-9-]+$/, told);
        assert.equal(type, `urn:blocktree:${code}`, told);
      }),
      { numRuns: RUNS_PER_ROUTE, includeErrorInReport: true },
    );
  }
  assert.equal((await fixture.as('nobody', 'GET', '/health/live')).statusCode, 200);
});
