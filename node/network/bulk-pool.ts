import { within } from './deadline.ts';
import type { Link } from './link.ts';
import { NetworkError } from './network-error.ts';

/** The connections to one peer that carry one large exchange at a time, so that those never delay small requests. */

/** Either end keeps to it. */
export const CONNECTIONS_MAX = 4;
const WAITING_MAX = 256;
const IDLE_MS = 30_000;

interface Place {
  /** Absent while it is dialled. */
  link: Link | undefined;
  busy: boolean;
  idle: NodeJS.Timeout | undefined;
}

export class BulkPool {
  /** Dials; the pool must hear through the callback when the connection closes. */
  readonly #open: (onClose: () => void) => Promise<Link>;
  readonly #places: Place[] = [];
  readonly #waiting = new Set<() => void>();

  constructor(open: (onClose: () => void) => Promise<Link>) {
    this.#open = open;
  }

  /** No connection open, none asked for. */
  get unused(): boolean {
    return this.#places.length === 0 && this.#waiting.size === 0;
  }

  get bytesIn(): number {
    return this.#places.reduce((sum, { link }) => sum + (link?.bytesIn ?? 0), 0);
  }

  get bytesOut(): number {
    return this.#places.reduce((sum, { link }) => sum + (link?.bytesOut ?? 0), 0);
  }

  /**
   * One exchange; the deadline counts from now, with the wait for a connection. Throws NetworkError.
   */
  async request(kind: number, body: Uint8Array, deadlineMs: number): Promise<Uint8Array> {
    const endMs = performance.now() + deadlineMs;
    const place = await this.#take(endMs);
    try {
      const leftMs = endMs - performance.now();
      if (leftMs <= 0) throw new NetworkError('timeout', `no connection within ${deadlineMs} ms`);
      return await (place.link as Link).request(kind, body, leftMs);
    } catch (error) {
      // Half an answer may still be on its way, and would hold up the next exchange.
      if (error instanceof NetworkError && error.code === 'timeout') place.link?.close();
      throw error;
    } finally {
      this.#give(place);
    }
  }

  close(): void {
    for (const { link } of this.#places) link?.close();
  }

  async #take(endMs: number): Promise<Place> {
    while (this.#places.length >= CONNECTIONS_MAX) {
      const free = this.#free();
      if (free !== undefined) return free;
      await this.#turn(endMs);
    }
    const free = this.#free();
    if (free !== undefined) return free;
    // The place is taken before the dialling, so that the bound holds.
    const place: Place = { link: undefined, busy: true, idle: undefined };
    this.#places.push(place);
    const opened = this.#open(() => this.#drop(place)).then((link) => {
      place.link = link;
    });
    opened.catch(() => this.#drop(place));
    try {
      await within(Math.max(0, endMs - performance.now()), opened);
    } catch (error) {
      // It may still come to be, for the next.
      opened.then(
        () => this.#give(place),
        () => undefined,
      );
      throw error;
    }
    return place;
  }

  #free(): Place | undefined {
    const free = this.#places.find((place) => !place.busy && place.link?.closed === false);
    if (free === undefined) return undefined;
    free.busy = true;
    clearTimeout(free.idle);
    return free;
  }

  #turn(endMs: number): Promise<void> {
    if (this.#waiting.size >= WAITING_MAX)
      throw new NetworkError('overloaded', 'too many transfers wait for a connection to this node');
    return new Promise((resolve, reject) => {
      const wake = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(wake);
        resolve();
      };
      const timer = setTimeout(
        () => {
          this.#waiting.delete(wake);
          reject(new NetworkError('timeout', 'no connection became free in time'));
        },
        Math.max(0, endMs - performance.now()),
      );
      this.#waiting.add(wake);
    });
  }

  #give(place: Place): void {
    place.busy = false;
    place.idle = setTimeout(() => place.link?.close(), IDLE_MS).unref();
    if (place.link?.closed === true) this.#drop(place);
    else this.#wakeNext();
  }

  #drop(place: Place): void {
    clearTimeout(place.idle);
    const at = this.#places.indexOf(place);
    if (at < 0) return;
    this.#places.splice(at, 1);
    this.#wakeNext();
  }

  #wakeNext(): void {
    for (const wake of this.#waiting) return wake();
  }
}
