/** Work that the scheduler derives. Doing a job twice is harmless; losing the queue loses nothing. */
export type JobKind = 'audit' | 'settle' | 'repair' | 'renew' | 'note' | 'clean' | 'sweep' | 'scrub';

export interface Job {
  /** The same for the same work: a job that is queued, runs or is done is not added again. */
  readonly id: string;
  readonly kind: JobKind;
  readonly data: Readonly<Record<string, string | number>>;
  /** Wall time before which it does not start. */
  readonly notBeforeMs: number;
}

export interface JobRecord extends Job {
  readonly state: 'waiting' | 'running' | 'done' | 'failed';
  readonly attempts: number;
  readonly finishedMs: number | undefined;
  /** What it did, or why it failed. */
  readonly result: string | undefined;
}

/** Does a job; `signal` says that the queue is closing and what takes long had better stop. */
export type JobRunner = (job: Job, signal: AbortSignal) => Promise<string>;

export interface JobQueue {
  add(job: Job): Promise<void>;
  /** Newest first, a bounded number of them. */
  list(): readonly JobRecord[];
  /** Waiting and running. */
  readonly pending: number;
  close(): Promise<void>;
}
