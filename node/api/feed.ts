import type { ServerResponse } from 'node:http';

/** Server-sent events (HTML standard, section 9.2): a bounded past for those who come back, a bounded backlog for the slow. */

const RING_MAX = 500;
const BACKLOG_BYTES = 1_048_576;
const HEARTBEAT_MS = 15_000;
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
  readonly isPrivate: boolean;
}

export class Feed {
  readonly #ring: Item[] = [];
  readonly #listeners = new Set<Listener>();
  readonly #heartbeat: NodeJS.Timeout;
  // Ids start at the clock, so that one from before a restart is never mistaken for a newer one.
  #nextId = Date.now();

  constructor() {
    this.#heartbeat = setInterval(() => {
      for (const { response } of this.#listeners) response.write(': still here\n\n');
    }, HEARTBEAT_MS);
    this.#heartbeat.unref();
  }

  emit(type: FeedType, data: unknown): void {
    const id = this.#nextId++;
    const item: Item = { id, type, text: `id: ${id}\nevent: ${type}\ndata: ${JSON.stringify(data)}\n\n` };
    this.#ring.push(item);
    if (this.#ring.length > RING_MAX) this.#ring.shift();
    for (const listener of this.#listeners) this.#give(listener, item);
  }

  #give(listener: Listener, item: Item): void {
    if (!listener.isPrivate && !PUBLIC.has(item.type)) return;
    listener.response.write(item.text);
    if (listener.response.writableLength > BACKLOG_BYTES) listener.response.destroy();
  }

  /** Streams to a response from after `lastId` on. False when too many listen already. */
  listen(response: ServerResponse, isPrivate: boolean, lastId: number | undefined): boolean {
    if (this.#listeners.size >= LISTENERS_MAX) return false;
    const listener: Listener = { response, isPrivate };
    response.writeHead(200, {
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      connection: 'keep-alive',
    });
    response.write('retry: 1000\n\n');
    if (lastId !== undefined) for (const item of this.#ring) if (item.id > lastId) this.#give(listener, item);
    this.#listeners.add(listener);
    response.on('close', () => this.#listeners.delete(listener));
    return true;
  }

  close(): void {
    clearInterval(this.#heartbeat);
    for (const { response } of this.#listeners) response.end();
  }
}
