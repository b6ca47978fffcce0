import { createHash } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { textOf } from '../../ledger/bytes.ts';
import { jsonValue, type KeyValues, readJson } from '../../market/interfaces.ts';
import { ApiError } from './problem.ts';

/** `Idempotency-Key`: the same key and body give the same answer, whatever happened on the way. */

const KEPT_MS = 24 * 3_600_000;
const KEYS_MAX = 10_000;

interface Kept {
  readonly body: string;
  readonly atMs: number;
  readonly status?: number;
  readonly payload?: string;
}

export class Idempotency {
  readonly #store: KeyValues;
  /** Keys that are being worked on, and the request each belongs to: no other may keep or forget its answer. */
  readonly #open = new Map<string, FastifyRequest>();

  /** The key under which the answer to a request will be kept. */
  readonly #keys = new WeakMap<FastifyRequest, string>();

  constructor(store: KeyValues) {
    this.#store = store;
  }

  #key(request: FastifyRequest): string | undefined {
    const key = request.headers['idempotency-key'];
    if (key === undefined) return undefined;
    if (typeof key !== 'string' || !/^[\x21-\x7e]{1,100}$/.test(key))
      throw new ApiError(400, 'bad-request', 'expected an Idempotency-Key of 1 to 100 visible characters');
    return `idempotency/${request.routeOptions.url}/${key}`;
  }

  #body(request: FastifyRequest): string {
    return createHash('sha256')
      .update(JSON.stringify(request.body ?? null))
      .digest('hex');
  }

  /** Answers a repetition, or remembers that this is the first. */
  async before(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const key = this.#key(request);
    if (key === undefined) return;
    // Taken before anything is awaited: of two that arrive together, one works and the other is told so.
    if (this.#open.has(key))
      throw new ApiError(
        409,
        'idempotency-in-progress',
        'a request with this Idempotency-Key is being worked on; ask again in a moment',
      );
    this.#open.set(key, request);
    this.#keys.set(request, key);
    try {
      await this.#begin(key, request, reply);
    } catch (error) {
      this.#open.delete(key);
      throw error;
    }
  }

  async #begin(key: string, request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const kept = readJson<Kept>(this.#store, key);
    if (kept !== undefined && Date.now() - kept.atMs < KEPT_MS) {
      if (kept.body !== this.#body(request))
        throw new ApiError(409, 'idempotency-conflict', 'this Idempotency-Key was used with another body');
      if (kept.payload !== undefined && kept.status !== undefined) {
        this.#open.delete(key);
        await reply
          .code(kept.status)
          .type('application/json')
          .header('idempotent-replay', 'true')
          .send(kept.payload);
        return;
      }
      // Cut off between sending and answering: whether it became final is on the ledger, and sending again could pay twice.
      throw new ApiError(
        409,
        'idempotency-unknown',
        'this request was begun before; look at the history before you send it under another key',
      );
    }
    const keys = await this.#store.range('idempotency/');
    if (keys.length >= KEYS_MAX) {
      const old = keys.filter(({ value }) => Date.now() - (JSON.parse(textOf(value)) as Kept).atMs > KEPT_MS);
      await this.#store.write(old.map(({ key: stale }) => ({ key: stale, value: undefined })));
    }
    await this.#store.write([
      { key, value: jsonValue({ body: this.#body(request), atMs: Date.now() } satisfies Kept) },
    ]);
  }

  /** Keeps the answer; one that failed before anything was sent is forgotten, so that it may be tried again. */
  async after(request: FastifyRequest, reply: FastifyReply, payload: string): Promise<void> {
    const key = this.#keys.get(request);
    if (key === undefined || this.#open.get(key) !== request) return;
    const refused = reply.statusCode >= 400 && reply.statusCode < 500;
    const value: Kept = { body: this.#body(request), atMs: Date.now(), status: reply.statusCode, payload };
    try {
      await this.#store.write([{ key, value: refused ? undefined : jsonValue(value) }]);
    } finally {
      this.#open.delete(key);
    }
  }
}
