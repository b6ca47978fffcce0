import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FRAME_BYTES_MAX, FrameReader } from './frame-reader.ts';
import { NetworkError } from './network-error.ts';

const MIN = 7;

function framed(body: Uint8Array): Buffer {
  const prefix = Buffer.alloc(4);
  prefix.writeUInt32BE(body.length);
  return Buffer.concat([prefix, body]);
}

test('frames come out as they went in, however the stream is cut', () => {
  const bodies = fc.array(fc.uint8Array({ minLength: MIN, maxLength: 60 }), { maxLength: 20 });
  const cuts = fc.array(fc.integer({ min: 1, max: 80 }), { minLength: 1, maxLength: 50 });
  fc.assert(
    fc.property(bodies, cuts, (sent, sizes) => {
      const stream = Buffer.concat(sent.map(framed));
      const reader = new FrameReader(MIN);
      const got: Buffer[] = [];
      for (let at = 0, i = 0; at < stream.length; i++) {
        const size = sizes[i % sizes.length] as number;
        got.push(...reader.push(stream.subarray(at, at + size)));
        at += size;
      }
      assert.deepEqual(
        got.map((frame) => frame.toString('hex')),
        sent.map((body) => Buffer.from(body).toString('hex')),
      );
    }),
  );
});

test('random bytes give frames or a coded refusal, nothing else', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ minLength: 1, maxLength: 200 })), (chunks) => {
      const reader = new FrameReader(MIN);
      try {
        for (const chunk of chunks)
          for (const frame of reader.push(Buffer.from(chunk))) assert(frame.length >= MIN);
      } catch (error) {
        assert(error instanceof NetworkError && ['too-large', 'malformed'].includes(error.code));
      }
    }),
  );
});

test('a large promise costs nothing before the bytes come, and single bytes cost no more than one piece', () => {
  const reader = new FrameReader(MIN);
  const prefix = Buffer.alloc(4);
  prefix.writeUInt32BE(FRAME_BYTES_MAX);
  const before = process.memoryUsage().arrayBuffers;
  const readers = Array.from({ length: 200 }, () => {
    const promised = new FrameReader(MIN);
    assert.deepEqual([...promised.push(prefix)], []);
    assert.deepEqual([...promised.push(Buffer.of(1))], []);
    return promised;
  });
  assert(process.memoryUsage().arrayBuffers - before < 16 * 1_048_576, 'promises were paid for in advance');
  assert.equal(readers.length, 200);
  const body = Buffer.alloc(300_000, 5);
  const stream = framed(body);
  const got: Buffer[] = [];
  for (let at = 0; at < stream.length; at++) got.push(...reader.push(stream.subarray(at, at + 1)));
  assert.equal(got.length, 1);
  assert(got[0]?.equals(body));
});
