import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, test } from 'node:test';
import { memoryTransport } from '../../test/support/memory-transport.ts';
import { until } from '../../test/support/until.ts';
import { tlsTransport } from './tls-transport.ts';
import type { Channel, Door } from './transport.ts';

/** What hello, links and network rely on, whatever carries the bytes. */

const doors: Door[] = [];
after(() => Promise.all(doors.map((door) => door.close())));

for (const [name, transport] of Object.entries({ tls: tlsTransport, memory: memoryTransport })) {
  const never = new AbortController().signal;

  async function joined(): Promise<{ near: Channel; far: Channel; door: Door }> {
    let far: Channel | undefined;
    const door = await transport.listen({
      host: '127.0.0.1',
      port: 0,
      connectionsMax: 10,
      async welcome(channel) {
        channel.stream.on('error', () => undefined);
        far = channel;
      },
    });
    doors.push(door);
    const near = await transport.dial(door.address, never);
    near.stream.on('error', () => undefined);
    await until(() => far !== undefined, 5_000, 'the other end');
    return { near, far: far as Channel, door };
  }

  test(`${name}: what is written arrives in order and whole, either way, also what came before it was asked for`, async () => {
    const { near, far } = await joined();
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      const sent = randomBytes(3_000_000);
      from.stream.write(sent.subarray(0, 5));
      const first = await new Promise<Buffer>((resolve) => {
        const read = (): void => {
          const bytes = to.stream.read(2) as Buffer | null;
          if (bytes === null) return;
          to.stream.off('readable', read);
          resolve(bytes);
        };
        to.stream.on('readable', read);
        read();
      });
      const pieces = [first];
      let arrived = first.length;
      to.deliver((piece) => {
        pieces.push(Buffer.from(piece));
        arrived += piece.length;
      });
      for (let at = 5; at < sent.length; at += 700_000) from.stream.write(sent.subarray(at, at + 700_000));
      await until(() => arrived >= sent.length, 5_000, 'all to arrive');
      assert(Buffer.concat(pieces).equals(sent));
      assert(to.bytesIn >= sent.length && from.bytesOut >= sent.length);
    }
    near.stream.destroy();
  });

  test(`${name}: who pauses holds up who writes, and hears the rest afterwards`, async () => {
    const { near, far } = await joined();
    let arrived = 0;
    near.deliver((piece) => {
      arrived += piece.length;
    });
    near.stream.pause();
    for (let n = 0; n < 64; n++) far.stream.write(Buffer.alloc(1_048_576));
    await until(() => far.stream.writableLength > 0, 5_000, 'the writer to be held up');
    assert(far.stream.writableLength > 32 * 1_048_576, 'most of it waits at the writer');
    near.stream.resume();
    await until(() => arrived === 64 * 1_048_576, 10_000, 'the rest');
    near.stream.destroy();
  });

  test(`${name}: both ends export the same, another for every label and connection`, async () => {
    const [one, two] = [await joined(), await joined()];
    const exported = one.near.exporter('EXPORTER-a');
    assert.equal(exported.length, 32);
    assert.deepEqual(one.far.exporter('EXPORTER-a'), exported);
    assert.notDeepEqual(one.near.exporter('EXPORTER-b'), exported);
    assert.notDeepEqual(two.near.exporter('EXPORTER-a'), exported);
    one.near.stream.destroy();
    two.near.stream.destroy();
  });

  test(`${name}: an end that goes is noticed by the other, and its last words are heard`, async () => {
    const { near, far } = await joined();
    let heard = '';
    near.deliver((piece) => {
      heard += piece.toString();
    });
    far.stream.write('last words');
    far.closeSoon();
    await until(() => near.stream.closed, 5_000, 'the end to be noticed');
    assert.equal(heard, 'last words');
    const other = await joined();
    other.far.deliver(() => undefined);
    other.near.stream.destroy();
    await until(() => other.far.stream.closed, 5_000, 'the other end to notice');
  });

  test(`${name}: nobody there, a door that is taken and an end of dialling are told apart`, async () => {
    const { near, door } = await joined();
    const port = Number(door.address.split(':')[1]);
    const options = { host: '127.0.0.1', port, connectionsMax: 1, welcome: async () => undefined };
    await assert.rejects(transport.listen(options), { code: 'address-in-use' });
    await assert.rejects(transport.dial(door.address, AbortSignal.abort()), { code: 'closed' });
    near.stream.destroy();
    await door.close();
    await assert.rejects(transport.dial(door.address, never), { code: 'unreachable' });
  });
}
