import type { Worker } from 'node:worker_threads';
import { MarketError } from '../errors.ts';
import { startWorkerThread } from '../worker-thread.ts';
import type { Scheme } from './scheme.ts';
import type { CodedSlab, SlabAnswer, SlabTask } from './slab-worker.ts';

/** Worker threads that encrypt, code and hash slabs; started when first needed. */

interface Job {
  readonly task: SlabTask;
  resolve(answer: SlabAnswer): void;
  reject(error: Error): void;
}

/** What turns slabs into fragments and back. */
export type SlabCoder = Pick<SlabPool, 'encode' | 'decode' | 'rebuild' | 'restore' | 'decrypt'>;

export class SlabPool {
  readonly #size: number;
  readonly #workers: { readonly worker: Worker; job: Job | undefined }[] = [];
  readonly #queue: Job[] = [];
  #nextId = 0;
  #closed = false;

  constructor(size = 2) {
    this.#size = size;
  }

  /** Encrypts with `key` (32 bytes) and codes; `plain`, at most the slab's capacity, is given away. */
  async encode(plain: Uint8Array, key: Uint8Array, scheme: Scheme): Promise<CodedSlab> {
    return coded(await this.#run({ kind: 'encode', plain, key, scheme }));
  }

  /** The plaintext from any `data` fragments. Throws MarketError `not-enough-fragments` or `damaged`. */
  async decode(
    fragments: readonly (Uint8Array | undefined)[],
    key: Uint8Array,
    scheme: Scheme,
    length: number,
  ): Promise<Uint8Array> {
    return bytesOf(await this.#run({ kind: 'decode', fragments, key, scheme, length }));
  }

  /** The part of one data fragment from the same parts of any `data` others. Throws MarketError `not-enough-fragments`. */
  async restore(
    parts: readonly (Uint8Array | undefined)[],
    scheme: Scheme,
    index: number,
  ): Promise<Uint8Array> {
    return bytesOf(await this.#run({ kind: 'restore', parts, scheme, index }));
  }

  /** The plaintext of some frames of a slab, see `decryptSlab`. Throws MarketError `damaged`. */
  async decrypt(cipherText: Uint8Array, key: Uint8Array, length: number, first: number): Promise<Uint8Array> {
    return bytesOf(await this.#run({ kind: 'decrypt', cipherText, key, length, first }));
  }

  /** All fragments from any `data` of them. Throws MarketError `not-enough-fragments`. */
  async rebuild(fragments: readonly (Uint8Array | undefined)[], scheme: Scheme): Promise<CodedSlab> {
    return coded(await this.#run({ kind: 'rebuild', fragments, scheme }));
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const job of this.#queue.splice(0)) job.reject(new Error('the pool is closed'));
    await Promise.all(this.#workers.splice(0).map(({ worker }) => worker.terminate()));
  }

  async #run(task: SlabTask): Promise<SlabAnswer> {
    if (this.#closed) throw new Error('the pool is closed');
    const answer = await new Promise<SlabAnswer>((resolve, reject) => {
      this.#queue.push({ task, resolve, reject });
      this.#dispatch();
    });
    if ('error' in answer) throw new MarketError(answer.error.code, answer.error.message);
    return answer;
  }

  #dispatch(): void {
    while (this.#queue.length > 0) {
      const free = this.#workers.find(({ job }) => job === undefined) ?? this.#start();
      if (free === undefined) return;
      const job = this.#queue.shift() as Job;
      free.job = job;
      free.worker.ref();
      free.worker.postMessage({ id: this.#nextId++, task: job.task }, given(job.task));
    }
  }

  #start(): { readonly worker: Worker; job: Job | undefined } | undefined {
    if (this.#workers.length >= this.#size) return undefined;
    const entry: { readonly worker: Worker; job: Job | undefined } = {
      worker: startWorkerThread(import.meta.url, 'slab-worker'),
      job: undefined,
    };
    entry.worker.unref();
    entry.worker.on('message', (answer: SlabAnswer) => {
      const { job } = entry;
      entry.job = undefined;
      entry.worker.unref();
      job?.resolve(answer);
      this.#dispatch();
    });
    entry.worker.on('error', (error: Error) => {
      this.#workers.splice(this.#workers.indexOf(entry), 1);
      entry.job?.reject(error);
      if (!this.#closed) this.#dispatch();
    });
    this.#workers.push(entry);
    return entry;
  }
}

/** What need not be copied: the plaintext, where it has memory of its own. */
function given(task: SlabTask): readonly ArrayBuffer[] {
  if (task.kind !== 'encode' || task.plain.byteLength !== task.plain.buffer.byteLength) return [];
  return [task.plain.buffer as ArrayBuffer];
}

function bytesOf(answer: SlabAnswer): Uint8Array {
  if (!('bytes' in answer)) throw new Error('a worker answered something else');
  return answer.bytes;
}

function coded(answer: SlabAnswer): CodedSlab {
  if (!('coded' in answer)) throw new Error('a worker answered something else');
  return answer.coded;
}
