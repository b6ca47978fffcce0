import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { ConsoleFixture } from '../../test/support/console-fixture.ts';
import { until } from '../../test/support/until.ts';

/** Those who mean ill, or are merely slow, over a real connection. The bounds are short here; what they do is the same. */

const BOUNDS = { headersMs: 500, windowMs: 300, windowBytesMin: 1_000, lingerMs: 300 };
const DEADLINE_MS = 5_000;
let fixture: ConsoleFixture;
let port = 0;

before(async () => {
  fixture = await ConsoleFixture.start(1, { bounds: BOUNDS });
  port = Number(new URL(await fixture.listen()).port);
});
after(() => fixture?.stop());

interface Caller {
  readonly socket: Socket;
  /** All that the node said until it closed; fails when it does not. */
  closed(): Promise<string>;
}

function call(): Caller {
  const socket = connect(port, '127.0.0.1');
  let heard = '';
  socket.on('data', (chunk) => {
    heard += chunk.toString('latin1');
  });
  socket.on('error', () => undefined);
  return {
    socket,
    async closed() {
      await until(() => socket.closed, DEADLINE_MS, 'the node to close the connection');
      return heard;
    },
  };
}

function head(method: string, path: string, headers: Record<string, string> = {}): string {
  const all = { host: `127.0.0.1:${port}`, ...fixture.authorization('owner'), ...headers };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}`);
  return `${method} /api/v1${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`;
}

/** Writes one byte at a time for as long as the connection lasts. */
async function drip(socket: Socket, everyMs: number): Promise<void> {
  while (!socket.destroyed) {
    socket.write('a');
    await pause(everyMs);
  }
}

/** Takes what a file is made of and does nothing else with it. */
function takeFiles(take: (source: AsyncIterable<Uint8Array>) => Promise<void>): () => void {
  const { files } = fixture.node;
  const put = files.put.bind(files);
  files.put = async (name, source) => {
    await take(source);
    return {
      version: 1,
      name,
      sizeBytes: 0,
      createdMs: 0,
      contentHash: '',
      scheme: { data: 1, parity: 1 },
      slabs: [],
    };
  };
  return () => {
    files.put = put;
  };
}

test('headers that drip in are cut off', async () => {
  const { socket, closed } = call();
  socket.write('GET /api/v1/status HTTP/1.1\r\nx: ');
  void drip(socket, 50);
  assert.match(await closed(), /^HTTP\/1\.1 408 .*"code":"too-slow"/s);
});

test('a connection that says nothing is cut off', async () => {
  await call().closed();
});

test('a JSON body that drips in is refused and cut off', async () => {
  const { socket, closed } = call();
  socket.write(head('POST', '/tokens', { 'content-type': 'application/json', 'content-length': '5000' }));
  void drip(socket, 50);
  assert.match(await closed(), /^HTTP\/1\.1 408 .*"code":"too-slow"/s);
});

test('a file that drips in is refused and cut off', async () => {
  const restore = takeFiles(async (source) => {
    for await (const _ of source);
  });
  const { socket, closed } = call();
  socket.write(head('PUT', '/files/slow', { 'content-length': '5000000' }));
  // A good beginning buys no time.
  socket.write('x'.repeat(BOUNDS.windowBytesMin * 3));
  void drip(socket, 50);
  const answer = await closed();
  restore();
  assert.match(answer, /^HTTP\/1\.1 408 .*"code":"too-slow"/s);
});

test('a body that nobody reads does not hold a connection', async () => {
  for (const request of [
    head('GET', '/ledger/head', { 'content-length': '5000' }),
    head('PUT', '/files/x', { 'content-length': '5000', authorization: 'Bearer no' }),
    head('GET', '/nothing', { 'transfer-encoding': 'chunked' }),
  ]) {
    const { socket, closed } = call();
    socket.write(request);
    assert.match(await closed(), /^HTTP\/1\.1 (200|401|404)/, request);
  }
});

test('a big upload that makes progress takes as long as it takes', async () => {
  let bytes = 0;
  const restore = takeFiles(async (source) => {
    for await (const chunk of source) bytes += chunk.length;
  });
  const { socket, closed } = call();
  const chunks = 20;
  socket.write(
    head('PUT', '/files/steady', { 'content-length': String(chunks * 1_000), connection: 'close' }),
  );
  for (let n = 0; n < chunks; n++) {
    socket.write('x'.repeat(1_000));
    await pause(BOUNDS.windowMs / 4);
  }
  assert.match(await closed(), /^HTTP\/1\.1 201/);
  restore();
  assert.equal(bytes, chunks * 1_000);
});

test('time in which this node takes no more is not the sender’s', async () => {
  let bytes = 0;
  const restore = takeFiles(async (source) => {
    for await (const chunk of source) {
      if (bytes === 0) await pause(BOUNDS.windowMs * 4);
      bytes += chunk.length;
    }
  });
  const { socket, closed } = call();
  const size = 3_000_000;
  socket.write(head('PUT', '/files/held', { 'content-length': String(size), connection: 'close' }));
  socket.write('x'.repeat(size));
  const answer = await closed();
  restore();
  assert.match(answer, /^HTTP\/1\.1 201/);
  assert.equal(bytes, size);
});

test('an upload that is cut off is an upload that failed', async () => {
  const failed = new Promise<{ code?: string }>((resolve) => {
    takeFiles(async (source) => {
      try {
        for await (const _ of source);
      } catch (error) {
        resolve(error as { code?: string });
        throw error;
      }
    });
  });
  const { socket } = call();
  socket.write(head('PUT', '/files/cut', { 'content-length': '5000' }));
  socket.write('x'.repeat(2_000), () => socket.destroy());
  assert.equal((await failed).code, 'cut-off');
});

test('a refusal in the middle of an upload is answered with its reason', async () => {
  const restore = takeFiles(async (source) => {
    for await (const _ of source) throw Object.assign(new Error('too long'), { statusCode: 413 });
  });
  const response = await fetch(`http://127.0.0.1:${port}/api/v1/files/refused`, {
    method: 'PUT',
    headers: fixture.authorization('owner'),
    body: Buffer.alloc(2_000_000),
  });
  restore();
  assert.equal(response.status, 413);
  assert.equal(((await response.json()) as { code: string }).code, 'oversized');
});

test('what is no request is answered with a problem', async () => {
  const cases: [sent: string, answer: RegExp][] = [
    ['NONSENSE\r\n\r\n', /^HTTP\/1\.1 400 .*application\/problem\+json.*"code":"bad-request"/s],
    [`GET / HTTP/1.1\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`, /^HTTP\/1\.1 431 .*"code":"oversized"/s],
  ];
  for (const [sent, answer] of cases) {
    const { socket, closed } = call();
    socket.write(sent);
    assert.match(await closed(), answer);
  }
});
