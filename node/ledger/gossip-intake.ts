import { LedgerError } from '../../ledger/errors.ts';
import type { NodeId } from '../../ledger/ids.ts';
import { decodeTransaction, type Transaction } from '../../ledger/transaction.ts';

/**
 * Transactions that come from other nodes. A few are taken at once, so that a proposal right behind them finds them; when
 * more come, they wait and are taken in batches whose signatures are verified together, away from the event loop. What
 * does not fit is dropped: it is gossiped again.
 */

/** Transactions taken at once in one turn of the event loop: some two milliseconds. */
const AT_ONCE_MAX = 16;
/** Transactions that wait for their batch. */
const WAITING_MAX = 8_192;
/** Transactions decoded and admitted at a time: some ten milliseconds on the event loop. */
const BATCH_MAX = 256;

/** A transaction and the node that it came from. */
export interface Gossiped {
  readonly from: NodeId;
  readonly transaction: Transaction;
  readonly bytes: Uint8Array;
}

export interface GossipOptions {
  /** Whether it is in the pool already. */
  knows(bytes: Uint8Array): boolean;
  /** Whether its sender signed it. */
  signatureHolds(transaction: Transaction, bytes: Uint8Array): boolean;
  /** The same of many, in order, away from this thread. Rejects when the node stops. */
  signaturesHold(batch: readonly Gossiped[]): Promise<readonly boolean[]>;
  /** Takes one that is signed. Throws LedgerError with why it cannot be taken. */
  admit(gossiped: Gossiped): void;
  refused(from: NodeId, error: LedgerError): void;
  /** The node stops, or something is broken. */
  failed(error: unknown): void;
}

export class GossipIntake {
  readonly #options: GossipOptions;
  #waiting: { from: NodeId; bytes: Uint8Array }[] = [];
  #running = false;
  #atOnce = 0;

  constructor(options: GossipOptions) {
    this.#options = options;
  }

  add(from: NodeId, bytes: Uint8Array): void {
    const { knows, signatureHolds } = this.#options;
    if (this.#waiting.length >= WAITING_MAX || knows(bytes)) return;
    if (this.#running || this.#atOnce >= AT_ONCE_MAX) {
      this.#waiting.push({ from, bytes });
      if (!this.#running) void this.#run();
      return;
    }
    if (this.#atOnce++ === 0) setImmediate(() => (this.#atOnce = 0));
    this.#attempt(from, () => {
      const transaction = decodeTransaction(bytes);
      this.#admit({ from, transaction, bytes }, signatureHolds(transaction, bytes));
    });
  }

  async #run(): Promise<void> {
    this.#running = true;
    try {
      // What arrives while a batch is verified is in the next one.
      while (this.#waiting.length > 0) await this.#take(this.#waiting.splice(0, BATCH_MAX));
    } catch (error) {
      this.#waiting = [];
      this.#options.failed(error);
    } finally {
      this.#running = false;
    }
  }

  async #take(batch: readonly { from: NodeId; bytes: Uint8Array }[]): Promise<void> {
    const decoded: Gossiped[] = [];
    for (const { from, bytes } of batch) {
      this.#attempt(from, () => {
        if (!this.#options.knows(bytes)) decoded.push({ from, transaction: decodeTransaction(bytes), bytes });
      });
    }
    const verdicts = await this.#options.signaturesHold(decoded);
    for (const [i, gossiped] of decoded.entries())
      this.#attempt(gossiped.from, () => this.#admit(gossiped, verdicts[i] === true));
  }

  #admit(gossiped: Gossiped, signed: boolean): void {
    if (!signed) throw new LedgerError('bad-signature', 'the sender must sign its transaction');
    this.#options.admit(gossiped);
  }

  #attempt(from: NodeId, run: () => void): void {
    try {
      run();
    } catch (error) {
      if (!(error instanceof LedgerError)) throw error;
      this.#options.refused(from, error);
    }
  }
}
