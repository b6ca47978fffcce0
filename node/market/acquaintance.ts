import type { NodeId } from '../../ledger/ids.ts';
import type { LedgerView } from './ledger-view.ts';

/**
 * A renter needs links to hosts, whoever its seeds are: to those that keep its fragments, and to enough of those that
 * offer to have a choice. Where a link ends it is made again, less and less often while nobody answers.
 */

/** Hosts that offer are linked to until so many are; what the files of this node lie on comes on top. */
export const OFFERING_LINKED = 24;
/** Of the contracts' hosts at most so many are linked to, so that places are left for others. */
const RENTED_LINKED_MAX = 32;
/** Dials begun in one round: a node that starts does not call the whole network at once. */
const DIALS_MAX = 8;
const ROUND_MS = 2_000;
/**
 * Who offers and who keeps changes with blocks, and need not be known at once. Where few offer it is looked at after every
 * block: a node that still catches up knows of some only.
 */
const LOOK_AGAIN_MS = 30_000;
const RETRY_MIN_MS = 4_000;
const RETRY_MAX_MS = 300_000;

interface Links {
  connected(peer: NodeId): boolean;
  reach(peer: NodeId): void;
}

export interface AcquaintanceOptions {
  readonly view: Pick<
    LedgerView,
    'height' | 'nodeId' | 'accountId' | 'offers' | 'contractsOf' | 'hostNodeOf'
  >;
  readonly network: Links;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
  /** 0 … 1: which of the hosts that offer come first. */
  readonly random: () => number;
}

export class Acquaintance {
  readonly #options: AcquaintanceOptions;
  readonly #tries = new Map<NodeId, { waitMs: number; nextMs: number }>();
  #rented: readonly NodeId[] = [];
  #offering: readonly NodeId[] = [];
  #lookedMs = Number.NEGATIVE_INFINITY;
  #lookedHeight = -1;

  constructor(options: AcquaintanceOptions) {
    this.#options = options;
  }

  /** One round: looks at the ledger when that is due, and dials whom it lacks. */
  async round(): Promise<void> {
    const nowMs = this.#options.now();
    const isNew = this.#options.view.height !== this.#lookedHeight;
    if (nowMs - this.#lookedMs >= LOOK_AGAIN_MS || (isNew && this.#offering.length < OFFERING_LINKED))
      await this.#look(nowMs);
    const { network } = this.#options;
    const away = (hosts: readonly NodeId[]) => hosts.filter((host) => !network.connected(host));
    const linked = this.#offering.length - away(this.#offering).length;
    const wanted = [
      ...away(this.#rented),
      ...away(this.#offering).slice(0, Math.max(0, OFFERING_LINKED - linked)),
    ];
    let dials = DIALS_MAX;
    for (const host of new Set(wanted)) {
      const tried = this.#tries.get(host);
      if (tried !== undefined && nowMs < tried.nextMs) continue;
      if (dials-- === 0) break;
      const waitMs = tried === undefined ? RETRY_MIN_MS : Math.min(RETRY_MAX_MS, 2 * tried.waitMs);
      this.#tries.set(host, { waitMs, nextMs: nowMs + waitMs });
      network.reach(host);
    }
    for (const host of this.#tries.keys()) if (network.connected(host)) this.#tries.delete(host);
  }

  async #look(nowMs: number): Promise<void> {
    const { view, random } = this.#options;
    this.#lookedMs = nowMs;
    this.#lookedHeight = view.height;
    const rented = new Set(
      (await view.contractsOf('renter')).map(({ contract }) => view.hostNodeOf(contract)),
    );
    this.#rented = [...rented].slice(0, RENTED_LINKED_MAX);
    const offering = (await view.offers())
      .filter(({ nodeId, ownerId }) => nodeId !== view.nodeId && ownerId !== view.accountId)
      .map(({ nodeId }) => ({ nodeId, place: random() }));
    // Those that did not answer come last, so that others get their turn.
    const failed = ({ nodeId }: { nodeId: NodeId }): number => (this.#tries.has(nodeId) ? 1 : 0);
    this.#offering = offering
      .sort((a, b) => failed(a) - failed(b) || a.place - b.place)
      .map(({ nodeId }) => nodeId);
    const known = new Set([...this.#rented, ...this.#offering]);
    for (const host of this.#tries.keys()) if (!known.has(host)) this.#tries.delete(host);
  }
}

/** Begins at once; gives what stops it. `failed` hears of a ledger that could not be read. */
export function keepAcquainted(options: AcquaintanceOptions, failed: (error: unknown) => void): () => void {
  const acquaintance = new Acquaintance(options);
  let busy = false;
  const round = (): void => {
    if (busy) return;
    busy = true;
    acquaintance
      .round()
      .catch(failed)
      .finally(() => {
        busy = false;
      });
  };
  round();
  const timer = setInterval(round, ROUND_MS);
  timer.unref();
  return () => clearInterval(timer);
}
