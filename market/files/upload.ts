import { createHash, randomBytes } from 'node:crypto';
import { type Hash, hashId, type NodeId } from '../../ledger/ids.ts';
import { type Manifest, type Slab, wrapKey } from './manifest.ts';
import type { Scheme } from './scheme.ts';
import { slabCapacity } from './slab-cipher.ts';
import type { SlabCoder } from './slab-pool.ts';

/** Fragments that are coded or sent at once, two slabs at least: what bounds the memory of an upload. */
const FRAGMENTS_IN_FLIGHT = 24;

export interface UploadOptions {
  readonly name: string;
  readonly scheme: Scheme;
  readonly wrap: Uint8Array;
  readonly pool: SlabCoder;
  readonly nowMs: number;
  /** Puts the fragments of one slab on different hosts, durably; gives the hosts in order. */
  place(
    fragments: readonly { readonly root: Hash; readonly bytes: Uint8Array }[],
  ): Promise<readonly NodeId[]>;
  /** The slab that an interrupted upload has placed for this plaintext, by its SHA-256 in hex; absent when there is none. */
  readonly known?: ((index: number, plainHash: string) => Slab | undefined) | undefined;
  /** A slab is placed; durable when it resolves. */
  placed(index: number, plainHash: string, slab: Slab): Promise<void>;
  onProgress(sentBytes: number): void;
}

/** Reads `source` to its end: slabs, encryption, fragments, hosts. Memory does not grow with the file. */
export async function upload(source: AsyncIterable<Uint8Array>, options: UploadOptions): Promise<Manifest> {
  const { name, scheme, nowMs } = options;
  const capacity = slabCapacity(scheme);
  const slabsInFlight = Math.max(2, Math.floor(FRAGMENTS_IN_FLIGHT / (scheme.data + scheme.parity)));
  const hash = createHash('sha256');
  const slabs: Promise<Slab>[] = [];
  const open = new Set<Promise<Slab>>();
  let failure: { readonly error: unknown } | undefined;
  let sizeBytes = 0;
  let sentBytes = 0;
  let slab = new Uint8Array(0);
  let gathered = 0;

  const begin = async (): Promise<void> => {
    const plain = gathered === capacity ? slab : slab.slice(0, gathered);
    gathered = 0;
    while (open.size >= slabsInFlight) await Promise.race(open);
    if (failure !== undefined) throw failure.error;
    const task = sendSlab(plain, slabs.length, options).then((slab) => {
      sentBytes += slab.length;
      options.onProgress(sentBytes);
      return slab;
    });
    open.add(task);
    slabs.push(task);
    void task.then(
      () => open.delete(task),
      (error: unknown) => {
        open.delete(task);
        failure ??= { error };
      },
    );
  };

  for await (const chunk of source) {
    hash.update(chunk);
    sizeBytes += chunk.length;
    for (let at = 0; at < chunk.length; ) {
      const part = chunk.subarray(at, at + capacity - gathered);
      if (gathered === 0) slab = new Uint8Array(capacity);
      slab.set(part, gathered);
      gathered += part.length;
      at += part.length;
      if (gathered === capacity) await begin();
    }
  }
  if (gathered > 0) await begin();
  return {
    version: 1,
    name,
    sizeBytes,
    createdMs: nowMs,
    contentHash: hash.digest('hex'),
    scheme,
    slabs: await Promise.all(slabs),
  };
}

async function sendSlab(
  plain: Uint8Array,
  index: number,
  { wrap, scheme, pool, place, known, placed }: UploadOptions,
): Promise<Slab> {
  if (known !== undefined) {
    const there = known(index, createHash('sha256').update(plain).digest('hex'));
    if (there !== undefined) return there;
  }
  const key = new Uint8Array(randomBytes(32));
  const { length } = plain;
  const { fragments, roots, plainHash } = await pool.encode(plain, key, scheme);
  const named = fragments.map((bytes, i) => ({ root: hashId<Hash>(roots[i] as Uint8Array), bytes }));
  const hosts = await place(named);
  const slab: Slab = {
    length,
    key: wrapKey(wrap, key),
    fragments: named.map(({ root }, i) => ({ root, host: hosts[i] as NodeId })),
  };
  await placed(index, plainHash, slab);
  return slab;
}
