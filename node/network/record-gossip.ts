import { setImmediate as nextTurn } from 'node:timers/promises';
import { Budget } from './budget.ts';
import type { Directory } from './directory.ts';
import type { Link } from './link.ts';
import { encodeRecords } from './node-record.ts';

/** Node records that peers tell, at the pace of honest gossip: each message may take ten milliseconds of signatures. */

/** Messages that a link brings: at first all that the other end knows, then what is new. */
const MESSAGES_PER_SECOND = 4;
const MESSAGES_BURST = 64;

export interface RecordGossipOptions {
  readonly directory: Directory;
  readonly signal: AbortSignal;
  /** Tells everybody else what was new. */
  pass(message: Uint8Array, from: Link): void;
  onRefused(from: Link, reason: string): void;
}

export class RecordGossip {
  readonly #options: RecordGossipOptions;
  readonly #budgets = new WeakMap<Link, Budget>();
  /** One message a turn of the event loop. */
  #turn = Promise.resolve();

  constructor(options: RecordGossipOptions) {
    this.#options = options;
  }

  async receive(body: Uint8Array, from: Link): Promise<undefined> {
    const { directory, signal, pass, onRefused } = this.#options;
    const nowMs = performance.now();
    const budget = this.#budgets.get(from) ?? new Budget(MESSAGES_PER_SECOND, MESSAGES_BURST, nowMs);
    this.#budgets.set(from, budget);
    if (!budget.affords(1, nowMs)) return;
    const turn = this.#turn.then(() => nextTurn());
    this.#turn = turn;
    await turn;
    if (signal.aborted) return;
    const { fresh, refused } = directory.receive(body);
    if (refused !== undefined) onRefused(from, refused.message);
    if (fresh.length > 0) pass(encodeRecords(fresh), from);
  }
}
