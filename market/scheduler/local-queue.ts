import PQueue from 'p-queue';
import type { Job, JobKind, JobQueue, JobRecord, JobRunner } from './queue.ts';

/** The queue inside the process. A failed job may be added again under the same id. */

/** Jobs of a kind that run at once. A kind never waits for another: what is slow at one must not cost a host its pay. */
const CONCURRENCY: Readonly<Record<JobKind, number>> = {
  audit: 16,
  settle: 4,
  repair: 1,
  renew: 4,
  note: 1,
  clean: 1,
  sweep: 1,
  scrub: 1,
};
const HISTORY_MAX = 500;
/** What runs at the end may go on this long. What it does not finish is derived again at the next start. */
const CLOSE_MS = 5_000;

export class LocalQueue implements JobQueue {
  readonly #lanes = new Map<JobKind, PQueue>();
  readonly #records = new Map<string, JobRecord>();
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #run: JobRunner;
  readonly #now: () => number;
  readonly #changed: (record: JobRecord) => void;
  readonly #closing = new AbortController();

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
    if (this.#closing.signal.aborted || (before !== undefined && before.state !== 'failed')) return;
    this.#records.delete(job.id);
    this.#set({
      ...job,
      state: 'waiting',
      attempts: before?.attempts ?? 0,
      finishedMs: undefined,
      result: undefined,
    });
    const start = (): void => {
      if (!this.#closing.signal.aborted) void this.#lane(job.kind).add(() => this.#perform(job));
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

  #lane(kind: JobKind): PQueue {
    const lane = this.#lanes.get(kind) ?? new PQueue({ concurrency: CONCURRENCY[kind] });
    this.#lanes.set(kind, lane);
    return lane;
  }

  async #perform(job: Job): Promise<void> {
    const attempts = (this.#records.get(job.id)?.attempts ?? 0) + 1;
    this.#set({ ...job, state: 'running', attempts, finishedMs: undefined, result: undefined });
    try {
      const result = await this.#run(job, this.#closing.signal);
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

  /** Starts nothing more; resolves when what runs has ended, or has had its time. */
  async close(): Promise<void> {
    this.#closing.abort();
    for (const timer of this.#timers) clearTimeout(timer);
    const lanes = [...this.#lanes.values()];
    for (const lane of lanes) lane.clear();
    await new Promise<void>((resolve) => {
      const late = setTimeout(resolve, CLOSE_MS);
      void Promise.all(lanes.map((lane) => lane.onIdle())).then(() => {
        clearTimeout(late);
        resolve();
      });
    });
  }
}
