import { availableParallelism } from 'node:os';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Worker } from 'node:worker_threads';
import { startWorkerThread } from '../../market/worker-thread.ts';
import { NodeError } from '../errors.ts';
import { packChecks, type SignatureCheck, verifyPacked } from './signature-batch.ts';

/**
 * Worker threads that verify signatures, so that a block of thousands never holds up the event loop. They start with the
 * first batch that is worth it and end when nothing came for a while. A batch that no thread brings back (crashed, too
 * slow, too many waiting) is verified here in slices: the verdict is the same, only later.
 */

export interface VerifyPoolOptions {
  /** Threads at most; one core stays with the event loop. */
  readonly threads?: number;
  /** Starts one thread. */
  readonly start?: () => Worker;
  /** Hears of a thread that ended by itself. */
  readonly onCrash?: (error: Error | undefined) => void;
  /** A batch that is not back after this long is given up, and its thread ended. */
  readonly deadlineMs?: number;
}

const THREADS_MAX = 4;
/** Fewer signatures than this are verified on the spot: half a millisecond. */
const WORTH_A_MESSAGE = 8;
/** Signatures a batch: about ten milliseconds of work. */
const BATCH_CHECKS = 200;
/** Batches handed to a thread at a time, so that it never waits for a busy event loop. */
const BATCHES_PER_THREAD = 4;
/** Batches that wait for a thread; 40 blocks of 2,000 transfers. */
const WAITING_MAX = 400;
const DEADLINE_MS = 10_000;
const IDLE_MS = 30_000;
/** After this many crashes without a batch between them no thread is started again. */
const CRASHES_MAX = 3;
/** Signatures verified here between two breaths of the event loop. */
const SLICE_CHECKS = 100;

interface Batch {
  readonly checks: readonly SignatureCheck[];
  resolve(verdicts: Uint8Array): void;
  reject(error: Error): void;
}

interface Thread {
  readonly worker: Worker;
  /** What it was given, oldest first: answers come in that order. */
  readonly batches: Batch[];
  deadline: NodeJS.Timeout | undefined;
  error: Error | undefined;
}

export class VerifyPool {
  readonly #options: Required<VerifyPoolOptions>;
  readonly #threads = new Set<Thread>();
  readonly #waiting: Batch[] = [];
  #crashes = 0;
  #idle: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: VerifyPoolOptions = {}) {
    this.#options = {
      threads: Math.min(THREADS_MAX, Math.max(1, availableParallelism() - 1)),
      start: () => startWorkerThread(import.meta.url, 'verify-worker'),
      onCrash: () => undefined,
      deadlineMs: DEADLINE_MS,
      ...options,
    };
  }

  /**
   * Whether each signature holds, in order. `urgent` ones overtake the others. Rejects with NodeError `not-running`
   * once the pool is closed.
   */
  async verify(checks: readonly SignatureCheck[], urgent = false): Promise<readonly boolean[]> {
    if (this.#closed) throw closed();
    if (checks.length < WORTH_A_MESSAGE) return Array.from(verifyPacked(packChecks(checks)), Boolean);
    const batches: Promise<Uint8Array>[] = [];
    const added: Batch[] = [];
    for (let at = 0; at < checks.length; at += BATCH_CHECKS) {
      const part = checks.slice(at, at + BATCH_CHECKS);
      batches.push(
        this.#waiting.length + added.length >= WAITING_MAX || this.#crashes >= CRASHES_MAX
          ? this.#verifyHere(part)
          : new Promise((resolve, reject) => added.push({ checks: part, resolve, reject })),
      );
    }
    if (urgent) this.#waiting.unshift(...added);
    else this.#waiting.push(...added);
    this.#dispatch();
    return (await Promise.all(batches)).flatMap((verdicts) => Array.from(verdicts, Boolean));
  }

  /** Ends the threads; what is under way is rejected. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#idle);
    const threads = [...this.#threads];
    this.#threads.clear();
    for (const { reject } of [
      ...this.#waiting.splice(0),
      ...threads.flatMap((thread) => thread.batches.splice(0)),
    ])
      reject(closed());
    await Promise.all(threads.map((thread) => this.#end(thread)));
  }

  #dispatch(): void {
    clearTimeout(this.#idle);
    while (this.#waiting.length > 0) {
      const thread = this.#leastBusy();
      if (thread === undefined) return;
      const batch = this.#waiting.shift() as Batch;
      thread.batches.push(batch);
      thread.worker.ref();
      if (thread.batches.length === 1) this.#setDeadline(thread);
      const packed = packChecks(batch.checks);
      thread.worker.postMessage(packed, [packed.buffer]);
    }
    if ([...this.#threads].every(({ batches }) => batches.length === 0)) {
      this.#idle = setTimeout(() => {
        for (const thread of this.#threads) void this.#end(thread);
        this.#threads.clear();
      }, IDLE_MS);
      this.#idle.unref();
    }
  }

  /** The thread with the fewest batches, a new one before one that is busy; none when all have enough. */
  #leastBusy(): Thread | undefined {
    const [best] = [...this.#threads].sort((a, b) => a.batches.length - b.batches.length);
    if (best !== undefined && best.batches.length === 0) return best;
    if (this.#threads.size < this.#options.threads) return this.#start();
    return best !== undefined && best.batches.length < BATCHES_PER_THREAD ? best : undefined;
  }

  #start(): Thread {
    const thread: Thread = {
      worker: this.#options.start(),
      batches: [],
      deadline: undefined,
      error: undefined,
    };
    thread.worker.unref();
    thread.worker.on('message', (verdicts: Uint8Array) => {
      this.#crashes = 0;
      thread.batches.shift()?.resolve(verdicts);
      clearTimeout(thread.deadline);
      if (thread.batches.length > 0) this.#setDeadline(thread);
      else thread.worker.unref();
      if (!this.#closed) this.#dispatch();
    });
    thread.worker.on('error', (error: Error) => {
      thread.error = error;
    });
    thread.worker.on('exit', () => this.#gone(thread));
    this.#threads.add(thread);
    return thread;
  }

  #setDeadline(thread: Thread): void {
    thread.deadline = setTimeout(() => void thread.worker.terminate(), this.#options.deadlineMs);
    thread.deadline.unref();
  }

  async #end(thread: Thread): Promise<void> {
    clearTimeout(thread.deadline);
    await thread.worker.terminate();
  }

  /** A thread that ended: the batch it was at is verified here, for it may be the cause; the others go to another. */
  #gone(thread: Thread): void {
    clearTimeout(thread.deadline);
    if (!this.#threads.delete(thread)) return;
    this.#crashes++;
    this.#options.onCrash(thread.error);
    const [suspect, ...others] = thread.batches.splice(0);
    const here = this.#crashes >= CRASHES_MAX ? [...others, ...this.#waiting.splice(0)] : [];
    if (here.length === 0) this.#waiting.unshift(...others);
    for (const batch of suspect === undefined ? here : [suspect, ...here])
      this.#verifyHere(batch.checks).then(batch.resolve, batch.reject);
    this.#dispatch();
  }

  async #verifyHere(checks: readonly SignatureCheck[]): Promise<Uint8Array> {
    const verdicts = new Uint8Array(checks.length);
    for (let at = 0; at < checks.length; at += SLICE_CHECKS) {
      if (this.#closed) throw closed();
      verdicts.set(verifyPacked(packChecks(checks.slice(at, at + SLICE_CHECKS))), at);
      await nextTurn();
    }
    return verdicts;
  }
}

function closed(): NodeError {
  return new NodeError('not-running', 'the node is stopping');
}
