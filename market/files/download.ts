import { equalBytes } from '../../ledger/bytes.ts';
import { idBytes } from '../../ledger/ids.ts';
import { FRAGMENT_BYTES, fragmentRoot } from '../../ledger/merkle.ts';
import { codeOf, MarketError } from '../errors.ts';
import { ALL_FRAMES, FRAMES_PER_FRAGMENT, type Frames, openFrames } from './frames.ts';
import { type Manifest, type PlacedFragment, type Slab, unwrapKey } from './manifest.ts';
import type { Scheme } from './scheme.ts';
import { FRAME_PLAIN_BYTES } from './slab-cipher.ts';
import type { SlabCoder } from './slab-pool.ts';

/** After this long without an answer another host is asked as well. */
const HEDGE_MS = 1_500;
/** The rank of a host that is not reachable, or known to lie or to have lost something. */
export const DOUBTFUL = 10_000;
/** Fragments that are fetched ahead of the reader, two slabs at least. */
const FRAGMENTS_AHEAD = 8;

export interface FragmentSource {
  /** The whole fragment, or its frames as `sealFrames` gives them: as the host sent it. */
  fetch(fragment: PlacedFragment, frames: Frames): Promise<Uint8Array>;
  /** Lower is asked first; from `DOUBTFUL` on it will hardly answer well. */
  rank(fragment: PlacedFragment): number;
  /** Told of everything that came and is right, and how many bytes that took; resolves when it is noted. Never rejects. */
  onGood(fragment: PlacedFragment, bytes: number): Promise<void>;
  /** Told of every host that failed: lied (other bytes than asked for) or did not answer. Never rejects. */
  onBad(fragment: PlacedFragment, why: 'lied' | 'failed'): Promise<void>;
}

export interface FetchOptions {
  /** What of each fragment. */
  readonly frames?: Frames;
  /** Fragments that are not asked for. */
  skip?(fragment: PlacedFragment): boolean;
}

/**
 * The same frames of any `count` fragments of a slab, each checked against its root; places in the list as in the slab.
 * Throws MarketError `not-enough-fragments`.
 */
export async function fetchFragments(
  slab: Slab,
  count: number,
  source: FragmentSource,
  { frames = ALL_FRAMES, skip = () => false }: FetchOptions = {},
): Promise<(Uint8Array | undefined)[]> {
  const order = slab.fragments
    .map((fragment, index) => ({ fragment, index }))
    .filter(({ fragment }) => !skip(fragment));
  order.sort((a, b) => source.rank(a.fragment) - source.rank(b.fragment) || a.index - b.index);
  if (order.length < count)
    throw new MarketError(
      'not-enough-fragments',
      `expected ${count} fragments of a slab, only ${order.length} are known`,
    );
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
      void attempt(candidate.fragment, frames, source).then((bytes) => {
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
    for (let i = 0; i < count; i++) start();
  });
}

/** Frames from one host, checked; `undefined` when it failed. */
async function attempt(
  fragment: PlacedFragment,
  frames: Frames,
  source: FragmentSource,
): Promise<Uint8Array | undefined> {
  let answer: Uint8Array;
  try {
    answer = await source.fetch(fragment, frames);
  } catch {
    await source.onBad(fragment, 'failed');
    return undefined;
  }
  const bytes = checked(answer, fragment, frames);
  if (bytes === undefined) await source.onBad(fragment, 'lied');
  else await source.onGood(fragment, answer.length);
  return bytes;
}

function checked(answer: Uint8Array, { root }: PlacedFragment, frames: Frames): Uint8Array | undefined {
  if (frames.count < FRAMES_PER_FRAGMENT) return openFrames(answer, root, frames);
  const whole = answer.length === FRAGMENT_BYTES && equalBytes(fragmentRoot(answer), idBytes(root));
  return whole ? answer : undefined;
}

/** The files that a download is of, and what it works with. */
interface Work {
  readonly scheme: Scheme;
  readonly wrap: Uint8Array;
  readonly pool: SlabCoder;
  readonly source: FragmentSource;
}

/** A stretch of a slab's plaintext. */
interface Stretch {
  /** Of the slab in the file. */
  readonly index: number;
  readonly slab: Slab;
  readonly from: number;
  readonly to: number;
}

/**
 * A slab that is wanted whole comes from whichever hosts are quickest. Of another only the frames are fetched that the
 * stretch lies in, from the hosts of the data fragments that have them.
 */
async function plainOf({ slab, from, to }: Stretch, work: Work): Promise<Uint8Array> {
  const { scheme, wrap, pool, source } = work;
  const key = unwrapKey(wrap, slab.key);
  const first = Math.floor(from / FRAME_PLAIN_BYTES);
  const end = Math.ceil(to / FRAME_PLAIN_BYTES);
  if (end - first === scheme.data * FRAMES_PER_FRAGMENT) {
    const fragments = await fetchFragments(slab, scheme.data, source);
    return (await pool.decode(fragments, key, scheme, slab.length)).subarray(from, to);
  }
  const parts: Promise<Uint8Array>[] = [];
  for (let at = first; at < end; ) {
    const index = Math.floor(at / FRAMES_PER_FRAGMENT);
    const until = Math.min(end, (index + 1) * FRAMES_PER_FRAGMENT);
    parts.push(framesOf(slab, index, { first: at % FRAMES_PER_FRAGMENT, count: until - at }, work));
    at = until;
  }
  const cipherText = Buffer.concat(await Promise.all(parts));
  const plain = await pool.decrypt(cipherText, key, slab.length, first);
  return plain.subarray(from - first * FRAME_PLAIN_BYTES, to - first * FRAME_PLAIN_BYTES);
}

/** Frames of a data fragment: from its host, or restored from the same frames of others when that takes too long. */
async function framesOf(slab: Slab, index: number, frames: Frames, work: Work): Promise<Uint8Array> {
  const { scheme, pool, source } = work;
  const fragment = slab.fragments[index] as PlacedFragment;
  const direct =
    source.rank(fragment) < DOUBTFUL ? attempt(fragment, frames, source) : Promise.resolve(undefined);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), HEDGE_MS);
  });
  const timely = await Promise.race([direct, late]);
  clearTimeout(timer);
  if (timely !== undefined) return timely;
  const restored = fetchFragments(slab, scheme.data, source, {
    frames,
    skip: (other) => other === fragment,
  }).then((parts) => pool.restore(parts, scheme, index));
  const nothing = direct.then((bytes) => bytes ?? Promise.reject(new MarketError('not-found', 'no answer')));
  return Promise.any([nothing, restored]).catch(() => restored);
}

export interface DownloadOptions {
  /** Inclusive, bytes. */
  readonly from?: number | undefined;
  /** Exclusive. */
  readonly to?: number | undefined;
  /** The file as it is now, when it is the same with other hosts: repairs go on while a file is read. */
  moved?(): Manifest | undefined;
}

/** The bytes from `from` to `to` of a file, in order; only what they lie in is fetched. Throws MarketError. */
export async function* download(
  manifest: Manifest,
  wrap: Uint8Array,
  pool: SlabCoder,
  source: FragmentSource,
  { from = 0, to = manifest.sizeBytes, moved = () => undefined }: DownloadOptions = {},
): AsyncGenerator<Uint8Array> {
  const work: Work = { scheme: manifest.scheme, wrap, pool, source };
  const wanted: Stretch[] = [];
  let start = 0;
  for (const [index, slab] of manifest.slabs.entries()) {
    const end = start + slab.length;
    if (end > from && start < to)
      wanted.push({ index, slab, from: Math.max(0, from - start), to: Math.min(slab.length, to - start) });
    start = end;
  }
  const fetched = async (stretch: Stretch): Promise<Uint8Array> => {
    try {
      return await plainOf(stretch, work);
    } catch (error) {
      const slab = codeOf(error) === 'not-enough-fragments' ? moved()?.slabs[stretch.index] : undefined;
      if (slab === undefined || JSON.stringify(slab) === JSON.stringify(stretch.slab)) throw error;
      return plainOf({ ...stretch, slab }, work);
    }
  };
  const slabsAhead = Math.max(2, Math.floor(FRAGMENTS_AHEAD / manifest.scheme.data));
  const ahead: Promise<Uint8Array>[] = [];
  for (let next = 0, at = 0; at < wanted.length; at++) {
    for (; next < wanted.length && ahead.length <= slabsAhead; next++) {
      const task = fetched(wanted[next] as Stretch);
      task.catch(() => undefined); // Awaited below, in order.
      ahead.push(task);
    }
    yield await (ahead.shift() as Promise<Uint8Array>);
  }
}
