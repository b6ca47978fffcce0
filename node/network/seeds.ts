import { setTimeout as pause } from 'node:timers/promises';
import type { NodeId } from '../../ledger/ids.ts';
import { BackOff } from './back-off.ts';
import { RETRY_MAX_MS, RETRY_MIN_MS } from './dialler.ts';
import type { Link } from './link.ts';
import { NetworkError } from './network-error.ts';

/** The addresses that this node stays connected to. */

/** A link that lasted so long was no failure. */
const STEADY_MS = 5_000;

export interface SeedsOptions {
  readonly signal: AbortSignal;
  openLink(peer: NodeId): Link | undefined;
  /** Resolves when a peer that is linked is so no more, or the signal aborts. */
  lost(peer: NodeId): Promise<void>;
  /** Links to whoever is at an address, and gives who that is. Throws NetworkError. */
  link(address: string): Promise<NodeId>;
  onFailed(address: string, error: NetworkError): void;
}

export class Seeds {
  readonly #options: SeedsOptions;
  readonly #backOff = new BackOff(RETRY_MIN_MS, RETRY_MAX_MS);
  /** Who answered last, by address. */
  readonly #found = new Map<string, NodeId>();

  constructor(options: SeedsOptions) {
    this.#options = options;
  }

  has(peer: NodeId): boolean {
    for (const found of this.#found.values()) if (found === peer) return true;
    return false;
  }

  /** Stays connected to an address until the signal aborts, or it turns out to be this node's own. */
  async keep(address: string): Promise<void> {
    const { signal } = this.#options;
    while (!signal.aborted) {
      const link = this.#linkAt(address);
      if (link !== undefined) {
        await this.#options.lost(link.peer);
        if (performance.now() - link.openedMs > STEADY_MS) this.#backOff.worked(address);
        else await this.#rest(address);
        continue;
      }
      // Also when it works, until the link has lasted: some take a link and drop it at once.
      this.#backOff.failed(address, performance.now());
      try {
        this.#found.set(address, await this.#options.link(address));
      } catch (error) {
        if (!(error instanceof NetworkError)) throw error;
        if (error.code === 'self') return;
        this.#options.onFailed(address, error);
      }
      if (this.#linkAt(address) === undefined) await this.#rest(address);
    }
  }

  async #rest(address: string): Promise<void> {
    const { signal } = this.#options;
    await pause(this.#backOff.restMs(address, performance.now()), undefined, { signal }).catch(
      () => undefined,
    );
  }

  #linkAt(address: string): Link | undefined {
    const peer = this.#found.get(address);
    return peer === undefined ? undefined : this.#options.openLink(peer);
  }
}
