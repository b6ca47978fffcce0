import PQueue from 'p-queue';
import type { Job, JobQueue, JobRecord, JobRunner } from './queue.ts';

/** The queue inside the process. A failed job may be added again under the same id. */

const CONCURRENCY = 4;
const HISTORY_MAX = 500;

export class LocalQueue implements JobQueue {
  readonly #queue = new PQueue({ concurrency: CONCURRENCY });
  readonly #records = new Map<string, JobRecord>();
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #run: JobRunner;
  readonly #now: () => number;
  readonly #changed: (record: JobRecord) => void;
  #closed = false;

  constructor(run: JobRunner, now: () => number, changed: (record: JobRecord) => void) {
    this.#run = run;
    this.#now = now;
    this.#changed = changed;
  }

  get pending(): number {
    let count = 0;
    for (const { state } of this.#records.values()) if (state === 'waiting' || state === 'running') count++;
    return count;
  }

  list(): readonly JobRecord[] {
    return [...this.#records.values()].reverse();
  }

  async add(job: Job): Promise<void> {
    const before = this.#records.get(job.id);
    if (this.#closed || (before !== undefined && before.state !== 'failed')) return;
    this.#records.delete(job.id);
    this.#set({
      ...job,
      state: 'waiting',
      attempts: before?.attempts ?? 0,
      finishedMs: undefined,
      result: undefined,
    });
    const start = (): void => {
      if (!this.#closed) void this.#queue.add(() => this.#perform(job));
    };
    const waitMs = job.notBeforeMs - this.#now();
    if (waitMs <= 0) return start();
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      start();
    }, waitMs);
    timer.unref();
    this.#timers.add(timer);
  }

  async #perform(job: Job): Promise<void> {
    const attempts = (this.#records.get(job.id)?.attempts ?? 0) + 1;
    this.#set({ ...job, state: 'running', attempts, finishedMs: undefined, result: undefined });
    try {
      const result = await this.#run(job);
      this.#set({ ...job, state: 'done', attempts, finishedMs: this.#now(), result });
    } catch (error) {
      this.#set({
        ...job,
        state: 'failed',
        attempts,
        finishedMs: this.#now(),
        result: (error as Error).message,
      });
    }
  }

  #set(record: JobRecord): void {
    this.#records.set(record.id, record);
    for (const [id, { state }] of this.#records) {
      if (this.#records.size <= HISTORY_MAX) break;
      if (state === 'done' || state === 'failed') this.#records.delete(id);
    }
    this.#changed(record);
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#queue.clear();
    await this.#queue.onIdle();
  }
}
