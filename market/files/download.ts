import { equalBytes } from '../../ledger/bytes.ts';
import { idBytes } from '../../ledger/ids.ts';
import { FRAGMENT_BYTES, fragmentRoot } from '../../ledger/merkle.ts';
import { MarketError } from '../errors.ts';
import { type Manifest, type PlacedFragment, type Slab, unwrapKey } from './manifest.ts';
import type { Scheme } from './scheme.ts';
import type { SlabCoder } from './slab-pool.ts';

/** After this long without an answer another host is asked as well. */
const HEDGE_MS = 1_500;
/** Slabs that are fetched ahead of the reader. */
const SLABS_AHEAD = 2;

export interface FragmentSource {
  fetch(fragment: PlacedFragment): Promise<Uint8Array>;
  /** Lower is asked first. */
  rank(fragment: PlacedFragment): number;
  /** Told of every host that failed: lied (other bytes than asked for) or did not answer. */
  onBad(fragment: PlacedFragment, why: 'lied' | 'failed'): void;
}

/** Any `count` fragments of a slab, each checked against its root; places in the list as in the slab. Throws `not-enough-fragments`. */
export async function fetchFragments(
  slab: Slab,
  count: number,
  source: FragmentSource,
  skip: (fragment: PlacedFragment) => boolean = () => false,
): Promise<(Uint8Array | undefined)[]> {
  const order = slab.fragments
    .map((fragment, index) => ({ fragment, index }))
    .filter(({ fragment }) => !skip(fragment));
  order.sort((a, b) => source.rank(a.fragment) - source.rank(b.fragment) || a.index - b.index);
  const got: (Uint8Array | undefined)[] = slab.fragments.map(() => undefined);
  let have = 0;
  return new Promise((resolve, reject) => {
    let next = 0;
    let open = 0;
    let done = false;
    const hedge = setInterval(() => start(), HEDGE_MS);
    const finish = (act: () => void): void => {
      if (done) return;
      done = true;
      clearInterval(hedge);
      act();
    };
    const start = (): void => {
      const candidate = order[next];
      if (done || candidate === undefined) return;
      next++;
      open++;
      void attempt(candidate.fragment, source).then((bytes) => {
        open--;
        if (bytes !== undefined && got[candidate.index] === undefined && !done) {
          got[candidate.index] = bytes;
          have++;
        }
        if (have >= count) finish(() => resolve(got));
        else if (bytes === undefined && open + have < count) {
          if (next < order.length) start();
          else if (open === 0) {
            finish(() =>
              reject(
                new MarketError(
                  'not-enough-fragments',
                  `expected ${count} fragments of a slab, ${have} of ${slab.fragments.length} could be had; try again when more hosts are reachable`,
                ),
              ),
            );
          }
        }
      });
    };
    if (order.length < count)
      finish(() =>
        reject(
          new MarketError(
            'not-enough-fragments',
            `expected ${count} fragments of a slab, only ${order.length} are known`,
          ),
        ),
      );
    for (let i = 0; i < count; i++) start();
  });
}

async function attempt(fragment: PlacedFragment, source: FragmentSource): Promise<Uint8Array | undefined> {
  let bytes: Uint8Array;
  try {
    bytes = await source.fetch(fragment);
  } catch {
    source.onBad(fragment, 'failed');
    return undefined;
  }
  if (bytes.length === FRAGMENT_BYTES && equalBytes(fragmentRoot(bytes), idBytes(fragment.root)))
    return bytes;
  source.onBad(fragment, 'lied');
  return undefined;
}

async function slabPlain(
  slab: Slab,
  scheme: Scheme,
  wrap: Uint8Array,
  pool: SlabCoder,
  source: FragmentSource,
): Promise<Uint8Array> {
  const fragments = await fetchFragments(slab, scheme.data, source);
  return pool.decode(fragments, unwrapKey(wrap, slab.key), scheme, slab.length);
}

/** The bytes from `from` (inclusive) to `to` (exclusive) of a file, in order; only the slabs they lie in are fetched. */
export async function* download(
  manifest: Manifest,
  wrap: Uint8Array,
  pool: SlabCoder,
  source: FragmentSource,
  from = 0,
  to = manifest.sizeBytes,
): AsyncGenerator<Uint8Array> {
  const wanted: { slab: Slab; from: number; to: number }[] = [];
  let start = 0;
  for (const slab of manifest.slabs) {
    const end = start + slab.length;
    if (end > from && start < to)
      wanted.push({ slab, from: Math.max(0, from - start), to: Math.min(slab.length, to - start) });
    start = end;
  }
  const ahead: Promise<Uint8Array>[] = [];
  for (let next = 0, at = 0; at < wanted.length; at++) {
    for (; next < wanted.length && ahead.length <= SLABS_AHEAD; next++) {
      const task = slabPlain((wanted[next] as { slab: Slab }).slab, manifest.scheme, wrap, pool, source);
      task.catch(() => undefined); // Awaited below, in order.
      ahead.push(task);
    }
    const part = wanted[at] as { from: number; to: number };
    yield (await (ahead.shift() as Promise<Uint8Array>)).subarray(part.from, part.to);
  }
}
