import { availableParallelism } from 'node:os';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Worker } from 'node:worker_threads';
import { startWorkerThread } from '../../../market/worker-thread.ts';
import { NodeError } from '../../errors.ts';
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
/** Signatures a message: about ten milliseconds of work. */
const MESSAGE_CHECKS = 200;
/** Messages handed to a thread at a time, so that it never waits for a busy event loop. */
const MESSAGES_PER_THREAD = 4;
/** Batches that wait for a thread; a hundred blocks of 2,000 transfers. */
const WAITING_MAX = 1_000;
const DEADLINE_MS = 10_000;
const IDLE_MS = 30_000;
/** After this many crashes without a batch between them no thread is started again. */
const CRASHES_MAX = 3;
/** Signatures verified here between two breaths of the event loop. */
const SLICE_CHECKS = 100;

/** Signatures of one caller, at most as many as a message takes. */
interface Batch {
  readonly checks: readonly SignatureCheck[];
  resolve(verdicts: Uint8Array): void;
  reject(error: Error): void;
}

interface Thread {
  readonly worker: Worker;
  /** What it was given, oldest message first: answers come in that order. */
  readonly messages: (readonly Batch[])[];
  deadline: NodeJS.Timeout | undefined;
  error: Error | undefined;
}

export class VerifyPool {
  readonly #options: Required<VerifyPoolOptions>;
  readonly #threads = new Set<Thread>();
  readonly #urgent: Batch[] = [];
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
   * Whether each signature holds, in order. `urgent` ones overtake those that are not. Rejects with NodeError `not-running`
   * once the pool is closed.
   */
  async verify(checks: readonly SignatureCheck[], urgent = false): Promise<readonly boolean[]> {
    if (this.#closed) throw closed();
    if (checks.length < WORTH_A_MESSAGE) return Array.from(verifyPacked(packChecks(checks)), Boolean);
    const queue = urgent ? this.#urgent : this.#waiting;
    const batches: Promise<Uint8Array>[] = [];
    for (let at = 0; at < checks.length; at += MESSAGE_CHECKS) {
      const part = checks.slice(at, at + MESSAGE_CHECKS);
      batches.push(
        queue.length >= WAITING_MAX || this.#crashes >= CRASHES_MAX
          ? this.#verifyHere(part)
          : new Promise((resolve, reject) => queue.push({ checks: part, resolve, reject })),
      );
    }
    this.#dispatch();
    return (await Promise.all(batches)).flatMap((verdicts) => Array.from(verdicts, Boolean));
  }

  /** Ends the threads; what is under way is rejected. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#idle);
    const threads = [...this.#threads];
    this.#threads.clear();
    const given = threads.flatMap((thread) => thread.messages.splice(0).flat());
    for (const { reject } of [...this.#urgent.splice(0), ...this.#waiting.splice(0), ...given])
      reject(closed());
    await Promise.all(threads.map((thread) => this.#end(thread)));
  }

  #dispatch(): void {
    clearTimeout(this.#idle);
    while (this.#urgent.length + this.#waiting.length > 0) {
      const thread = this.#leastBusy();
      if (thread === undefined) return;
      const message = this.#nextMessage();
      thread.messages.push(message);
      thread.worker.ref();
      if (thread.messages.length === 1) this.#setDeadline(thread);
      const packed = packChecks(message.flatMap(({ checks }) => checks));
      thread.worker.postMessage(packed, [packed.buffer]);
    }
    if ([...this.#threads].every(({ messages }) => messages.length === 0)) {
      this.#idle = setTimeout(() => {
        for (const thread of this.#threads) void this.#end(thread);
        this.#threads.clear();
      }, IDLE_MS);
      this.#idle.unref();
    }
  }

  /** Batches for one message: those of small blocks travel together. */
  #nextMessage(): readonly Batch[] {
    const message: Batch[] = [];
    let room = MESSAGE_CHECKS;
    for (;;) {
      const queue = this.#urgent.length > 0 ? this.#urgent : this.#waiting;
      const [batch] = queue;
      if (batch === undefined || batch.checks.length > room) return message;
      queue.shift();
      message.push(batch);
      room -= batch.checks.length;
    }
  }

  /** The thread with the fewest messages, a new one before one that is busy; none when all have enough. */
  #leastBusy(): Thread | undefined {
    const [best] = [...this.#threads].sort((a, b) => a.messages.length - b.messages.length);
    if (best !== undefined && best.messages.length === 0) return best;
    if (this.#threads.size < this.#options.threads) return this.#start();
    return best !== undefined && best.messages.length < MESSAGES_PER_THREAD ? best : undefined;
  }

  #start(): Thread {
    const thread: Thread = {
      worker: this.#options.start(),
      messages: [],
      deadline: undefined,
      error: undefined,
    };
    thread.worker.unref();
    thread.worker.on('message', (verdicts: Uint8Array) => {
      this.#crashes = 0;
      clearTimeout(thread.deadline);
      let at = 0;
      for (const { checks, resolve } of thread.messages.shift() ?? []) {
        resolve(verdicts.subarray(at, at + checks.length));
        at += checks.length;
      }
      if (thread.messages.length > 0) this.#setDeadline(thread);
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

  /** A thread that ended: the message it was at is verified here, for it may be the cause; the others go to another. */
  #gone(thread: Thread): void {
    clearTimeout(thread.deadline);
    if (!this.#threads.delete(thread)) return;
    this.#crashes++;
    this.#options.onCrash(thread.error);
    const [suspect = [], ...others] = thread.messages.splice(0);
    this.#urgent.unshift(...others.flat());
    const here = [...suspect];
    if (this.#crashes >= CRASHES_MAX) here.push(...this.#urgent.splice(0), ...this.#waiting.splice(0));
    for (const { checks, resolve, reject } of here) this.#verifyHere(checks).then(resolve, reject);
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
