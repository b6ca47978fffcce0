import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ConsoleFixture, type Who } from '../../test/support/console-fixture.ts';

/** The event stream as a listener hears it. */

const DEADLINE_MS = 5_000;
let fixture: ConsoleFixture;
let base = '';

before(async () => {
  fixture = await ConsoleFixture.start();
  base = await fixture.listen();
});
after(() => fixture?.stop());

interface Heard {
  readonly id: string | undefined;
  readonly type: string;
  readonly data: { n?: number; kind?: string };
}

/** Listens until `isLast` hears the event it waits for, or until the node ends the stream. */
async function listen(
  authorization: Record<string, string>,
  lastEventId: number | undefined,
  isLast: (event: Heard) => boolean,
  onOpen: () => void = () => undefined,
): Promise<readonly Heard[]> {
  const response = await fetch(`${base}/api/v1/events`, {
    headers: {
      ...authorization,
      ...(lastEventId === undefined ? {} : { 'last-event-id': String(lastEventId) }),
    },
    signal: AbortSignal.timeout(DEADLINE_MS),
  });
  assert.equal(response.headers.get('content-type'), 'text/event-stream');
  const heard: Heard[] = [];
  let text = '';
  onOpen();
  for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
    text += Buffer.from(chunk).toString('utf8');
    const parts = text.split('\n\n');
    text = parts.pop() as string;
    for (const part of parts) {
      const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(part)?.[1];
      const type = field('event');
      if (type === undefined) continue;
      const event = { id: field('id'), type, data: JSON.parse(field('data') as string) };
      heard.push(event);
      if (isLast(event)) return heard;
    }
  }
  return heard;
}
const as = (who: Who) => fixture.authorization(who);
const isEnd = ({ data }: Heard) => data.kind === 'end';
const end = () => fixture.app.feed.emit('block', { kind: 'end' });

test('who comes back hears what came after the last event heard, once and in order', async () => {
  const { feed } = fixture.app;
  const before = await listen(as('viewer'), undefined, isEnd, () => {
    for (let n = 0; n < 10; n++) feed.emit('job', { n });
    end();
  });
  const fourth = before.find(({ data }) => data.n === 4) ?? assert.fail();
  const missed = await listen(as('viewer'), Number(fourth.id), isEnd);
  assert.deepEqual(
    missed.filter(({ type }) => type === 'job').map(({ data }) => data.n),
    [5, 6, 7, 8, 9],
  );
  const nothing = await listen(as('viewer'), undefined, isEnd, end);
  assert.deepEqual(
    nothing.map(({ data }) => data.kind),
    ['end'],
  );
});

test('without a login only blocks are heard, now and of the past', async () => {
  const { feed } = fixture.app;
  const since = Number((await listen(as('viewer'), undefined, isEnd, end)).at(-1)?.id);
  feed.emit('payment', { n: 1 });
  feed.emit('block', { n: 2 });
  feed.emit('alert', { n: 3 });
  const heard = await listen(as('nobody'), since, isEnd, () => {
    feed.emit('job', { n: 4 });
    feed.tell('job', { n: 5 });
    feed.emit('block', { n: 6 });
    end();
  });
  assert.deepEqual(
    heard.map(({ data }) => data.n),
    [2, 6, undefined],
  );
});

test('what only the owner may hear is worth finding out while somebody listens who may', async () => {
  const { feed } = fixture.app;
  const whileHeardBy = async (who: Who): Promise<boolean> => {
    let heard = false;
    await listen(as(who), undefined, isEnd, () => {
      heard = feed.isHeard;
      end();
    });
    for (const endMs = Date.now() + DEADLINE_MS; feed.isHeard && Date.now() < endMs; )
      await new Promise((done) => setImmediate(done));
    return heard;
  };
  assert.equal(await whileHeardBy('nobody'), false);
  assert.equal(await whileHeardBy('viewer'), true);
  assert.equal(feed.isHeard, false, 'who listened has gone');
});

test('the progress of an upload is heard by those who listen, and pushes nothing out of the past', async () => {
  const { feed } = fixture.app;
  const start = Number((await listen(as('viewer'), undefined, isEnd, end)).at(-1)?.id);
  feed.emit('payment', { n: 1 });
  const live = await listen(as('viewer'), undefined, isEnd, () => {
    for (let n = 0; n < 1_000; n++) feed.tell('job', { kind: 'upload', n });
    end();
  });
  assert.equal(live.length, 1_001);
  assert(live.slice(0, -1).every(({ id }) => id === undefined));
  const past = await listen(as('viewer'), start, isEnd);
  assert.deepEqual(
    past.map(({ type }) => type),
    ['payment', 'block'],
  );
});

test('a stream ends with its token, and with its session', async () => {
  const never = () => false;
  const { id, token } = await fixture.access.createToken('listener', 'viewer');
  await listen({ authorization: `Bearer ${token}` }, undefined, never, () => {
    void fixture.access.revoke(id);
  });
  const secret = (await fixture.access.login(fixture.access.loginCode())) ?? assert.fail();
  await listen({ cookie: `blocktree_session=${secret}` }, undefined, never, () => {
    void fixture.access.logout(secret);
  });
});

test('strangers who listen take no places from those who are logged in', async () => {
  const closing = new AbortController();
  const { signal } = closing;
  const strangers = await Promise.all(
    Array.from({ length: 70 }, () => fetch(`${base}/api/v1/events`, { signal })),
  );
  const statuses = strangers.map(({ status }) => status);
  const owner = await fetch(`${base}/api/v1/events`, { headers: as('owner'), signal });
  closing.abort();
  assert(statuses.includes(503) && statuses.includes(200));
  assert.equal(owner.status, 200);
});
