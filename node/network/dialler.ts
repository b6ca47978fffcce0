import type { NodeId } from '../../ledger/ids.ts';
import { BackOff } from './back-off.ts';
import { type Purpose, sayHello, TwinMet } from './hello.ts';
import { NetworkError } from './network-error.ts';
import type { Identity } from './session.ts';
import type { Channel, Transport } from './transport.ts';

/** Connections that go out: to whoever is at an address, or to a node, at the addresses where it may be. */

export const RETRY_MIN_MS = 100;
export const RETRY_MAX_MS = 5_000;

/** A connection, and who is at its other end. */
export interface Dialled {
  readonly channel: Channel;
  readonly peer: NodeId;
  readonly session: string;
}

export class Dialler {
  readonly #transport: Transport;
  readonly #self: Identity;
  readonly #signal: AbortSignal;
  readonly #metTwin: (met: TwinMet) => void;
  /** By address, not by node: many may claim to be at one. */
  readonly #backOff = new BackOff(RETRY_MIN_MS, RETRY_MAX_MS);

  /** Dialling ends when `signal` aborts. */
  constructor(transport: Transport, self: Identity, signal: AbortSignal, metTwin: (met: TwinMet) => void) {
    this.#transport = transport;
    this.#self = self;
    this.#signal = signal;
    this.#metTwin = metTwin;
  }

  /** A connection to whoever answers at `address` and proves its key. Throws NetworkError. */
  async dial(address: string, purpose: Purpose): Promise<Dialled> {
    const channel = await this.#transport.dial(address, this.#signal);
    const stop = (): void => void channel.stream.destroy();
    this.#signal.addEventListener('abort', stop, { once: true });
    try {
      if (this.#signal.aborted) stop();
      return { channel, ...(await sayHello(channel, this.#self, purpose)) };
    } catch (error) {
      if (error instanceof TwinMet) {
        // What it has to say to its twin is on its way.
        channel.closeSoon();
        this.#metTwin(error);
      } else channel.stream.destroy();
      throw this.#signal.aborted ? new NetworkError('closed', 'this node is stopping') : error;
    } finally {
      this.#signal.removeEventListener('abort', stop);
    }
  }

  /** A connection to a node at one of its addresses, but none that failed a moment ago. Throws NetworkError. */
  async dialPeer(peer: NodeId, addresses: readonly string[], purpose: Purpose): Promise<Dialled> {
    let last: unknown = new NetworkError('unreachable', 'no address of this node is known');
    for (const address of addresses) {
      if (this.#backOff.restMs(address, performance.now()) > 0) {
        last = new NetworkError('unreachable', `${address} did not answer a moment ago`);
        continue;
      }
      try {
        const dialled = await this.dial(address, purpose);
        if (dialled.peer === peer) {
          this.#backOff.worked(address);
          return dialled;
        }
        dialled.channel.stream.destroy();
        last = new NetworkError('unreachable', `another node answers at ${address}`);
      } catch (error) {
        last = error;
      }
      this.#backOff.failed(address, performance.now());
    }
    throw last;
  }

  /** Forgets that these failed: their node is there again. */
  forgive(addresses: readonly string[]): void {
    for (const address of addresses) this.#backOff.worked(address);
  }
}
