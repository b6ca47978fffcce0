import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { toHex } from '../../ledger/bytes.ts';
import { type Hash, hashId, type NodeId } from '../../ledger/ids.ts';
import { FRAGMENT_BYTES, fragmentRoot } from '../../ledger/merkle.ts';
import { MarketError } from '../errors.ts';
import { DOUBTFUL, download } from './download.ts';
import { ALL_FRAMES, type Frames, openFrames, sealFrames } from './frames.ts';
import { type Manifest, normalName, slabKeyWrap, unwrapKey, wrapKey } from './manifest.ts';
import { defaultScheme, isWeak, parseScheme, recoveryProbability, type Scheme } from './scheme.ts';
import { decryptSlab, encryptSlab, FRAME_BYTES, FRAME_PLAIN_BYTES, slabCapacity } from './slab-cipher.ts';
import { SlabPool } from './slab-pool.ts';
import { upload } from './upload.ts';

const pool = new SlabPool(2);
after(() => pool.close());
const wrap = slabKeyWrap(randomBytes(32));
const refuses = (code: MarketError['code'], run: () => unknown) =>
  assert.throws(run, (error) => error instanceof MarketError && error.code === code);

/** Hosts in memory; what `spoil` says of a host happens to what it serves. */
class Hosts {
  readonly kept = new Map<string, Uint8Array>();
  readonly bad: [NodeId, string][] = [];
  /** Bytes that were served. */
  served = 0;
  doubtful: (host: NodeId) => boolean = () => false;
  spoil: (host: NodeId) => 'well' | 'silent' | 'lies' = () => 'well';

  async put(content: Uint8Array, scheme: Scheme, chunkBytes = 60_001): Promise<Manifest> {
    const chunks = async function* (): AsyncGenerator<Uint8Array> {
      for (let at = 0; at < content.length; at += chunkBytes) yield content.subarray(at, at + chunkBytes);
    };
    return upload(chunks(), {
      name: 'file',
      scheme,
      wrap,
      pool,
      nowMs: 0,
      place: async (fragments) =>
        fragments.map(({ root, bytes }, i) => {
          const host = `host ${i}` as NodeId;
          this.kept.set(`${host}/${root}`, bytes);
          return host;
        }),
      placed: async () => undefined,
      onProgress: () => undefined,
    });
  }

  async get(manifest: Manifest, from?: number, to?: number): Promise<Buffer> {
    const parts: Uint8Array[] = [];
    const source = {
      fetch: async ({ host, root }: { host: NodeId; root: Hash }, frames: Frames) => {
        const how = this.spoil(host);
        if (how === 'silent') throw new Error('no answer');
        const fragment = this.kept.get(`${host}/${root}`) as Uint8Array;
        const bytes = frames.count === ALL_FRAMES.count ? fragment : sealFrames(fragment, frames);
        this.served += bytes.length;
        return how === 'lies' ? bytes.map((byte, i) => (i === 5 ? byte ^ 1 : byte)) : bytes;
      },
      rank: ({ host }: { host: NodeId }) => (this.doubtful(host) ? DOUBTFUL : 0),
      onGood: async () => undefined,
      onBad: async ({ host }: { host: NodeId }, why: string) => void this.bad.push([host, why]),
    };
    for await (const part of download(manifest, wrap, pool, source, { from, to })) parts.push(part);
    return Buffer.concat(parts);
  }
}

test('files of every size come back, whole and in ranges', async () => {
  const hosts = new Hosts();
  const scheme = { data: 2, parity: 2 };
  for (const size of [
    0,
    1,
    65_520,
    65_521,
    1_048_576,
    slabCapacity(scheme),
    slabCapacity(scheme) + 1,
    5_000_000,
  ]) {
    const content = randomBytes(size);
    const manifest = await hosts.put(content, scheme);
    assert.equal(manifest.sizeBytes, size);
    assert.equal(manifest.contentHash, createHash('sha256').update(content).digest('hex'));
    assert.deepEqual(await hosts.get(manifest), content);
    for (const [from, to] of [
      [0, Math.min(1, size)],
      [Math.floor(size / 3), Math.floor((2 * size) / 3)],
      [Math.max(0, size - 7), size],
    ] as const) {
      assert.deepEqual(await hosts.get(manifest, from, to), content.subarray(from, to));
    }
  }
});

test('a range takes the frames it lies in and little more, also when their hosts are gone', async () => {
  const hosts = new Hosts();
  const scheme = { data: 3, parity: 3 };
  const content = randomBytes(2 * slabCapacity(scheme) + 100_000);
  const manifest = await hosts.put(content, scheme);
  const capacity = slabCapacity(scheme);
  const frame = FRAME_BYTES + 512;
  const cost = async (from: number, to: number): Promise<number> => {
    hosts.served = 0;
    assert.deepEqual(await hosts.get(manifest, from, to), content.subarray(from, to));
    return hosts.served;
  };
  assert.equal(await cost(500_000, 500_001), frame);
  assert.equal(await cost(0, FRAME_PLAIN_BYTES), frame);
  assert.equal(await cost(FRAME_PLAIN_BYTES - 1, FRAME_PLAIN_BYTES + 1), frame + FRAME_BYTES);
  // Over the edge of a fragment, and of a slab.
  assert.equal(await cost(16 * FRAME_PLAIN_BYTES - 1, 16 * FRAME_PLAIN_BYTES + 1), 2 * frame);
  assert.equal(await cost(capacity - 1, capacity + 1), 2 * frame);
  // The last slab has two frames; a slab in the middle comes whole.
  assert.equal(await cost(2 * capacity, content.length), frame + FRAME_BYTES);
  assert.equal(await cost(capacity, 2 * capacity), 3 * FRAGMENT_BYTES);

  hosts.spoil = (host) => (host === 'host 1' ? 'lies' : host === 'host 2' ? 'silent' : 'well');
  for (const at of [0, 1.2, 2.5]) {
    const from = Math.floor(at * 16 * FRAME_PLAIN_BYTES);
    assert((await cost(from, from + 10)) <= 5 * frame);
  }
  assert(hosts.bad.some(([host, why]) => host === 'host 1' && why === 'lied'));
  hosts.bad.length = 0;
  hosts.doubtful = (host) => host === 'host 1' || host === 'host 2';
  assert.equal(await cost(17 * FRAME_PLAIN_BYTES, 17 * FRAME_PLAIN_BYTES + 5), 3 * frame);
  assert.deepEqual(hosts.bad, [], 'a host of which nothing good is expected is not asked first');
});

test('frames are what they are or nothing', () => {
  const fragment = new Uint8Array(randomBytes(FRAGMENT_BYTES));
  const root = hashId<Hash>(fragmentRoot(fragment));
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 15 }),
      fc.integer({ min: 1, max: 16 }),
      fc.nat(),
      (first, n, seed) => {
        const frames = { first, count: Math.min(n, 16 - first) };
        const sealed = sealFrames(fragment, frames);
        assert.deepEqual(
          openFrames(sealed, root, frames),
          fragment.subarray(first * FRAME_BYTES, (first + frames.count) * FRAME_BYTES),
        );
        const changed = sealed.slice();
        changed[seed % sealed.length] = (changed[seed % sealed.length] as number) ^ 1;
        assert.equal(openFrames(changed, root, frames), undefined);
        assert.equal(openFrames(sealed.subarray(1), root, frames), undefined);
        assert.equal(openFrames(sealed, root, { first: (first + 1) % 16, count: frames.count }), undefined);
      },
    ),
    { numRuns: 12 },
  );
});

test('any m of the k + m hosts may be silent or lie; liars are told', async () => {
  for (const scheme of [parseScheme('1+1'), parseScheme('2+2'), parseScheme('2+3'), parseScheme('4+8')]) {
    const hosts = new Hosts();
    // A whole slab and a part of one: they are fetched in different ways.
    const content = randomBytes(slabCapacity(scheme) + 300_000);
    const manifest = await hosts.put(content, scheme);
    const n = scheme.data + scheme.parity;
    for (let round = 0; round < 6; round++) {
      const gone = new Set(Array.from({ length: scheme.parity }, (_, i) => `host ${(round + i) % n}`));
      hosts.spoil = (host) => (!gone.has(host) ? 'well' : round % 2 === 0 ? 'silent' : 'lies');
      hosts.bad.length = 0;
      assert.deepEqual(await hosts.get(manifest), content);
      if (round % 2 === 1) assert(hosts.bad.every(([host, why]) => gone.has(host) && why === 'lied'));
    }
    hosts.spoil = (host) => (Number(host.slice(5)) < scheme.data && host !== 'host 0' ? 'well' : 'silent');
    for (const from of [0, slabCapacity(scheme)])
      await assert.rejects(
        hosts.get(manifest, from),
        (error) => error instanceof MarketError && error.code === 'not-enough-fragments',
      );
  }
});

test('lost fragments are rebuilt as they were, again and again', async () => {
  const scheme = { data: 3, parity: 2 };
  const { fragments, roots } = await pool.encode(randomBytes(2_000_000), randomBytes(32), scheme);
  for (let round = 0; round < 20; round++) {
    const lost = new Set([round % 5, (round * 3 + 1) % 5]);
    const rebuilt = await pool.rebuild(
      fragments.map((fragment, i) => (lost.has(i) ? undefined : fragment)),
      scheme,
    );
    assert.deepEqual(
      rebuilt.roots.map((root) => hashId<Hash>(root)),
      roots.map((root) => hashId<Hash>(root)),
    );
    assert.deepEqual(rebuilt.fragments[[...lost][0] as number], fragments[[...lost][0] as number]);
  }
});

test('a slab whose frames are changed, swapped, cut or under another key is damaged', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 200_000 }), fc.nat(), (length, seed) => {
      const plain = new Uint8Array(length).fill(seed);
      const key = new Uint8Array(32).fill(seed >> 8);
      const sealed = new Uint8Array(4 * FRAME_BYTES);
      encryptSlab(plain, key, sealed);
      assert.deepEqual(decryptSlab(sealed, key, length), plain);
      const flipped = sealed.slice();
      flipped[seed % length] = (flipped[seed % length] as number) ^ 1;
      refuses('damaged', () => decryptSlab(flipped, key, length));
      refuses('damaged', () =>
        decryptSlab(
          sealed,
          key.map((byte) => byte ^ 1),
          length,
        ),
      );
      refuses('damaged', () => decryptSlab(sealed, key, length - 1));
      if (length > 2 * FRAME_BYTES) {
        const swapped = sealed.slice();
        swapped.set(sealed.subarray(FRAME_BYTES, 2 * FRAME_BYTES), 0);
        swapped.set(sealed.subarray(0, FRAME_BYTES), FRAME_BYTES);
        refuses('damaged', () => decryptSlab(swapped, key, length));
      }
    }),
    { numRuns: 40 },
  );
});

test('slab keys open for their owner only', () => {
  const key = randomBytes(32);
  const wrapped = wrapKey(wrap, key);
  assert.equal(toHex(unwrapKey(wrap, wrapped)), toHex(key));
  refuses('damaged', () => unwrapKey(slabKeyWrap(randomBytes(32)), wrapped));
  refuses('damaged', () => unwrapKey(wrap, wrapped.slice(2)));
});

test('names are kept in one form; those that lead elsewhere are refused', () => {
  assert.equal(normalName('u\u0308ber/☃'), 'über/☃');
  for (const bad of ['', '..', 'a/../b', 'a//b', '/a', 'a/', 'line\nbreak', 'x'.repeat(1_025)])
    refuses('bad-name', () => normalName(bad));
});

test('schemes follow the number of other nodes and always leave one to repair to', () => {
  const text = (n: number) => `${defaultScheme(n).data}+${defaultScheme(n).parity}`;
  assert.deepEqual([3, 4, 5, 6, 13, 14, 39, 40, 500].map(text), [
    '1+1',
    '1+1',
    '2+2',
    '2+3',
    '2+3',
    '4+8',
    '4+8',
    '10+20',
    '10+20',
  ]);
  refuses('not-enough-hosts', () => defaultScheme(2));
  for (const bad of ['', '2', '0+1', '1+0', '2+x', '40+40', '2 + 2'])
    refuses('bad-scheme', () => parseScheme(bad));
  assert(Math.abs(recoveryProbability({ data: 1, parity: 1 }) - (1 - 0.25 ** 2)) < 1e-12);
  assert(
    isWeak({ data: 2, parity: 2 }) &&
      !isWeak({ data: 4, parity: 8 }) === recoveryProbability({ data: 4, parity: 8 }) >= 0.9999,
  );
});
