import type { Hash, NodeId } from '../../ledger/ids.ts';
import { MarketError } from '../errors.ts';
import { type FragmentSource, fetchFragments } from '../files/download.ts';
import type { Manifest, PlacedFragment, Slab } from '../files/manifest.ts';
import type { Scheme } from '../files/scheme.ts';
import type { SlabCoder } from '../files/slab-pool.ts';
import type { HostLink } from '../interfaces.ts';
import { type Candidate, chooseHosts } from '../placement/choose-hosts.ts';
import type { Arrival, Arrivals } from './arrivals.ts';
import type { Contractor } from './contractor.ts';
import { UNCOMMITTED_MAX } from './placement.ts';

export interface RepairOptions {
  readonly link: HostLink;
  readonly contractor: Contractor;
  readonly pool: SlabCoder;
  readonly arrivals: Pick<Arrivals, 'begin'>;
  random(): number;
  candidates(): Promise<readonly Candidate[]>;
  /** Whether a contract with a host is live. */
  rented(host: NodeId): boolean;
  /** Whether a host is thought to have what it was given, and to go on having it. */
  alive(host: NodeId): boolean;
  readonly source: FragmentSource;
  /** The file as it is now; `undefined` when it was removed. */
  manifest(): Manifest | undefined;
  /** Puts what `next` makes of the file as it is then in its place; `undefined`, when it was removed, stays so. */
  change(next: (now: Manifest | undefined) => Manifest | undefined): Promise<Manifest | undefined>;
}

/** What one repair differs in from others. */
export type RepairTask = Pick<RepairOptions, 'arrivals' | 'candidates' | 'alive' | 'manifest' | 'change'>;

/** A fragment that goes from a host that is gone to another. */
interface Move {
  /** Of the slab in the file. */
  readonly slab: number;
  /** Of the fragment in the slab. */
  readonly index: number;
  readonly from: PlacedFragment;
  readonly to: NodeId;
}

/**
 * Rebuilds what hosts that are gone kept of a file, at hosts that keep nothing of the same slab, in parts: the new places
 * of one are under contract and noted before the next are sought. A slab or a host that cannot be helped keeps nothing
 * else from it. Resolves to the number of fragments moved. Throws MarketError `not-enough-hosts` or
 * `not-enough-fragments`, or what hosts said, when something is left that could not be moved.
 */
export async function repairFile(options: RepairOptions): Promise<number> {
  /** Hosts that did not take what they were given. */
  const failed = new Set<NodeId>();
  const hopeless = new Set<number>();
  let failure: unknown;
  let count = 0;
  await takeUpAgain(options);
  for (;;) {
    const arrival = options.arrivals.begin();
    try {
      const manifest = options.manifest();
      if (manifest === undefined) return count;
      const candidates = (await options.candidates()).filter(({ nodeId }) => !failed.has(nodeId));
      const moves: Move[] = [];
      for (const [at, slab] of manifest.slabs.entries()) {
        if (moves.length >= UNCOMMITTED_MAX) break;
        if (hopeless.has(at) || slab.fragments.every(({ host }) => options.alive(host))) continue;
        try {
          moves.push(...(await rebuild(slab, at, manifest.scheme, candidates, failed, options)));
        } catch (error) {
          hopeless.add(at);
          failure ??= error;
        }
      }
      if (moves.length === 0) {
        if (failure !== undefined) throw failure;
        return count;
      }
      const done = await commit(moves, arrival, options.contractor, (host, error) => {
        failed.add(host);
        failure ??= error;
      });
      // It may have been removed or replaced in the meantime: then nothing of it comes back.
      const now = await options.change((file) => file && { ...file, slabs: moved(file.slabs, done) });
      if (now === undefined) return count;
      count += done.length;
    } finally {
      arrival.end();
    }
  }
}

/**
 * Hosts keep what they had for a while when a contract is over, because the renter was away at its end for instance: a new
 * one over the same fragments saves moving them. Hosts that do not have them any more refuse.
 */
async function takeUpAgain({ contractor, candidates, manifest, rented }: RepairOptions): Promise<void> {
  const able = new Set(
    (await candidates())
      .filter(({ reachable, suspended, takesMore }) => reachable && !suspended && takesMore)
      .map(({ nodeId }) => nodeId),
  );
  const left = new Map<NodeId, Hash[]>();
  for (const { fragments } of manifest()?.slabs ?? [])
    for (const { host, root } of fragments)
      if (able.has(host) && !rented(host)) left.set(host, [...(left.get(host) ?? []), root]);
  await Promise.allSettled([...left].map(([host, roots]) => contractor.commit(host, roots)));
}

/** Sends the lost fragments of a slab to spare hosts, as many as there are. Throws when not one could be. */
async function rebuild(
  slab: Slab,
  at: number,
  scheme: Scheme,
  candidates: readonly Candidate[],
  failed: Set<NodeId>,
  { link, pool, random, alive, source }: RepairOptions,
): Promise<readonly Move[]> {
  const avoid = new Set([...slab.fragments.map(({ host }) => host), ...failed]);
  // Throws before anything is fetched when there is no spare at all.
  let spares = chooseHosts(candidates, 1, random, avoid);
  const lost = slab.fragments.flatMap((from, index) => (alive(from.host) ? [] : [{ from, index }]));
  const got = await fetchFragments(slab, scheme.data, source, {
    skip: ({ host }) => !alive(host) && !link.reachable(host),
  });
  const { fragments } = await pool.rebuild(got, scheme);
  const moves: Move[] = [];
  let failure: unknown;
  for (const { from, index } of lost) {
    for (let placed = false; !placed && spares.length > 0; spares = another(candidates, random, avoid)) {
      const to = (spares[0] as Candidate).nodeId;
      avoid.add(to);
      try {
        await link.storeFragment(to, from.root, fragments[index] as Uint8Array);
        moves.push({ slab: at, index, from, to });
        placed = true;
      } catch (error) {
        failed.add(to);
        failure ??= error;
      }
    }
  }
  if (moves.length === 0) throw failure;
  return moves;
}

function another(
  candidates: readonly Candidate[],
  random: () => number,
  avoid: ReadonlySet<NodeId>,
): readonly Candidate[] {
  try {
    return chooseHosts(candidates, 1, random, avoid);
  } catch (error) {
    if (error instanceof MarketError && error.code === 'not-enough-hosts') return [];
    throw error;
  }
}

/** Puts the moved fragments under contract; gives those moves whose host agreed. */
async function commit(
  moves: readonly Move[],
  arrival: Arrival,
  contractor: Contractor,
  onFailed: (host: NodeId, error: unknown) => void,
): Promise<readonly Move[]> {
  const roots = new Map<NodeId, Hash[]>();
  for (const { to, from } of moves) {
    arrival.expect(to, from.root);
    roots.set(to, [...(roots.get(to) ?? []), from.root]);
  }
  const refused = new Set<NodeId>();
  await Promise.all(
    [...roots].map(([host, added]) =>
      contractor.commit(host, added).catch((error: unknown) => {
        refused.add(host);
        onFailed(host, error);
      }),
    ),
  );
  return moves.filter(({ to }) => !refused.has(to));
}

/** The slabs with their fragments' new places, where they are still those that were moved. */
function moved(slabs: readonly Slab[], moves: readonly Move[]): readonly Slab[] {
  const next = slabs.map((slab) => ({ ...slab, fragments: [...slab.fragments] }));
  for (const { slab, index, from, to } of moves) {
    const fragments = next[slab]?.fragments;
    const now = fragments?.[index];
    if (fragments !== undefined && now?.root === from.root && now.host === from.host)
      fragments[index] = { root: from.root, host: to };
  }
  return next;
}
