import type { ServerResponse } from 'node:http';

/** Server-sent events (HTML standard, section 9.2): a bounded past for those who come back, a bounded backlog for the slow. */

const RING_MAX = 500;
const BACKLOG_BYTES = 1_048_576;
const HEARTBEAT_MS = 15_000;
/** Of those who are logged in and of those who are not, each: strangers cannot take the owner's places. */
const LISTENERS_MAX = 64;

export type FeedType = 'block' | 'payment' | 'audit' | 'job' | 'alert' | 'peer';

/** Events that anybody may see; the others are the owner's. */
const PUBLIC = new Set<FeedType>(['block']);

interface Item {
  readonly id: number;
  readonly type: FeedType;
  readonly text: string;
}

interface Listener {
  readonly response: ServerResponse;
  /** Sees all events, as long as its login is good; without one only the public events. */
  readonly isLoggedIn?: () => boolean;
}

export class Feed {
  readonly #ring: Item[] = [];
  readonly #listeners = new Set<Listener>();
  readonly #heartbeat: NodeJS.Timeout;
  // Ids start at the clock, so that one from before a restart is never mistaken for a newer one.
  #nextId = Date.now();

  constructor() {
    this.#heartbeat = setInterval(() => {
      this.endLoggedOut();
      for (const { response } of this.#listeners) response.write(': still here\n\n');
    }, HEARTBEAT_MS);
    this.#heartbeat.unref();
  }

  /** Whether anybody listens who hears of more than everybody may. */
  get isHeard(): boolean {
    return [...this.#listeners].some((listener) => listener.isLoggedIn !== undefined);
  }

  /** Something happened; who comes back later is told too. */
  emit(type: FeedType, data: unknown): void {
    const id = this.#nextId++;
    const item: Item = { id, type, text: `id: ${id}\n${textOf(type, data)}` };
    this.#ring.push(item);
    if (this.#ring.length > RING_MAX) this.#ring.shift();
    for (const listener of this.#listeners) this.#give(listener, item.type, item.text);
  }

  /** How something stands at this moment: for those who listen now, and no part of the past. */
  tell(type: FeedType, data: unknown): void {
    const text = textOf(type, data);
    for (const listener of this.#listeners) this.#give(listener, type, text);
  }

  #give(listener: Listener, type: FeedType, text: string): void {
    if (listener.isLoggedIn === undefined && !PUBLIC.has(type)) return;
    listener.response.write(text);
    if (listener.response.writableLength > BACKLOG_BYTES) listener.response.destroy();
  }

  /** Streams to a response from after `lastId` on. False when too many listen already. */
  listen(
    response: ServerResponse,
    isLoggedIn: (() => boolean) | undefined,
    lastId: number | undefined,
  ): boolean {
    const listener: Listener = { response, ...(isLoggedIn === undefined ? {} : { isLoggedIn }) };
    const alike = [...this.#listeners].filter(
      (other) => (other.isLoggedIn === undefined) === (isLoggedIn === undefined),
    );
    if (alike.length >= LISTENERS_MAX) return false;
    response.writeHead(200, {
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      connection: 'keep-alive',
    });
    response.write('retry: 1000\n\n');
    if (lastId !== undefined)
      for (const item of this.#ring) if (item.id > lastId) this.#give(listener, item.type, item.text);
    this.#listeners.add(listener);
    response.on('close', () => this.#listeners.delete(listener));
    return true;
  }

  /** Ends the streams of those whose session ended or whose token was revoked. */
  endLoggedOut(): void {
    for (const { response, isLoggedIn } of this.#listeners) if (isLoggedIn?.() === false) response.end();
  }

  close(): void {
    clearInterval(this.#heartbeat);
    for (const { response } of this.#listeners) response.end();
  }
}

function textOf(type: FeedType, data: unknown): string {
  return `event: ${type}\ndata: ${JSON.stringify(data)}\n\n`;
}
