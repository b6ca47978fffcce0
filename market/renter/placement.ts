import { LedgerError } from '../../ledger/errors.ts';
import type { Hash, NodeId } from '../../ledger/ids.ts';
import { codeOf } from '../errors.ts';
import type { HostLink } from '../interfaces.ts';
import { type Candidate, chooseHosts } from '../placement/choose-hosts.ts';
import type { Arrival } from './arrivals.ts';
import type { Contractor } from './contractor.ts';

/**
 * Fragments at one host that may wait for their contract; well below what a host takes. What is under contract outlives
 * any interruption.
 */
export const UNCOMMITTED_MAX = 64;
/** And how long they wait over a slow line: a host keeps what nothing covers for a quarter of an hour. */
const UNCOMMITTED_MS = 5 * 60_000;
/** How often a fragment waits for room at its host, which contracts make, before it goes to another. */
const ROOM_WAITS_MAX = 3;

export interface PlacementOptions {
  readonly link: HostLink;
  readonly contractor: Contractor;
  random(): number;
  now(): number;
}

/** What waits for its contract at a host. */
interface Waiting {
  readonly roots: Hash[];
  readonly sinceMs: number;
}

/** The hosts of one upload: the same for every slab as long as they do well. */
export class Placement {
  readonly #options: PlacementOptions;
  readonly #candidates: readonly Candidate[];
  readonly #arrival: Arrival;
  /** Hosts that get no more of this upload, */
  readonly #failed = new Set<NodeId>();
  /** and those of them that did not agree to what they had got. */
  readonly #refused = new Set<NodeId>();
  readonly #waiting = new Map<NodeId, Waiting>();
  /** Contracts that are being made while the upload goes on. */
  readonly #committing = new Map<NodeId, Promise<void>>();
  /** The ledger's refusal, which ends the upload. */
  #failure: LedgerError | undefined;
  #hosts: readonly NodeId[];

  /** Throws MarketError `not-enough-hosts`. */
  constructor(candidates: readonly Candidate[], count: number, arrival: Arrival, options: PlacementOptions) {
    this.#options = options;
    this.#candidates = candidates;
    this.#arrival = arrival;
    this.#hosts = chooseHosts(candidates, count, options.random).map(({ nodeId }) => nodeId);
  }

  /**
   * Puts the fragments of a slab on different hosts; gives the hosts in order. Throws MarketError `not-enough-hosts`, or
   * the LedgerError of a contract that was refused since.
   */
  async place(
    fragments: readonly { readonly root: Hash; readonly bytes: Uint8Array }[],
  ): Promise<readonly NodeId[]> {
    if (this.#failure !== undefined) throw this.#failure;
    const hosts = [...this.#hosts];
    const taken = new Set(hosts);
    await Promise.all(
      fragments.map(async ({ root, bytes }, i) => {
        let host = hosts[i] as NodeId;
        for (let waits = 0; ; ) {
          if (this.#failed.has(host)) {
            host = this.#another(new Set([...taken, ...this.#failed]));
            taken.add(host);
            waits = 0;
          }
          try {
            await this.#options.link.storeFragment(host, root, bytes);
            break;
          } catch (error) {
            if (codeOf(error) === 'too-many-bytes-in-flight' && waits++ < ROOM_WAITS_MAX)
              await this.#commit(host);
            else this.#failed.add(host);
          }
        }
        hosts[i] = host;
        const waiting = this.#waiting.get(host) ?? { roots: [], sinceMs: this.#options.now() };
        waiting.roots.push(root);
        this.#waiting.set(host, waiting);
      }),
    );
    this.#hosts = hosts;
    await this.#commitMany();
    return hosts;
  }

  #another(avoid: ReadonlySet<NodeId>): NodeId {
    const [next] = chooseHosts(this.#candidates, 1, this.#options.random, avoid);
    return (next as Candidate).nodeId;
  }

  /** Begins to put under contract what has waited long enough; waits itself where a host has not done with what came before. */
  async #commitMany(): Promise<void> {
    for (const [host, { roots, sinceMs }] of this.#waiting) {
      if (roots.length < UNCOMMITTED_MAX && this.#options.now() - sinceMs < UNCOMMITTED_MS) continue;
      await this.#committing.get(host);
      const committing = this.#commit(host)
        .catch((error: LedgerError) => {
          this.#failure ??= error;
        })
        .finally(() => {
          if (this.#committing.get(host) === committing) this.#committing.delete(host);
        });
      this.#committing.set(host, committing);
    }
  }

  /**
   * Everything that was placed is under contract when it resolves, but what hosts would not agree to after all: to those
   * hosts. Throws LedgerError when the ledger refuses, the renter's balance being too small for instance.
   */
  async commitAll(): Promise<ReadonlySet<NodeId>> {
    await Promise.all([...this.#committing.values()]);
    if (this.#failure !== undefined) throw this.#failure;
    await Promise.all([...this.#waiting.keys()].map((host) => this.#commit(host)));
    return this.#refused;
  }

  /** With nothing of its own to commit it waits for what is under way with this host. */
  async #commit(host: NodeId): Promise<void> {
    const roots = this.#waiting.get(host)?.roots ?? [];
    this.#waiting.delete(host);
    for (const root of roots) this.#arrival.expect(host, root);
    try {
      await this.#options.contractor.commit(host, roots);
    } catch (error) {
      if (error instanceof LedgerError) throw error;
      this.#failed.add(host);
      this.#refused.add(host);
    }
  }
}
