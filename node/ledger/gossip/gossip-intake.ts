import { LedgerError } from '../../../ledger/errors.ts';
import type { NodeId } from '../../../ledger/ids.ts';
import { decodeTransaction, type Transaction } from '../../../ledger/transaction.ts';
import { Breather } from '../../breather.ts';

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
  /** Why it cannot be taken whoever signed it: of many, what is refused for that costs no signature. */
  refusal(transaction: Transaction): LedgerError | undefined;
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
  /** By the node that they came from, so that each gets its share of every batch. */
  readonly #waiting = new Map<NodeId, Uint8Array[]>();
  #waitingCount = 0;
  #running = false;
  #atOnce = 0;

  constructor(options: GossipOptions) {
    this.#options = options;
  }

  add(from: NodeId, bytes: Uint8Array): void {
    const { knows, signatureHolds } = this.#options;
    if (knows(bytes)) return;
    if (this.#running || this.#atOnce >= AT_ONCE_MAX) {
      this.#hold(from, bytes);
      if (!this.#running) void this.#run();
      return;
    }
    if (this.#atOnce++ === 0) setImmediate(() => (this.#atOnce = 0));
    this.#attempt(from, () => {
      const transaction = decodeTransaction(bytes);
      this.#admit({ from, transaction, bytes }, signatureHolds(transaction, bytes));
    });
  }

  /** When there is no room, whoever has most waiting loses its newest. */
  #hold(from: NodeId, bytes: Uint8Array): void {
    const own = this.#waiting.get(from) ?? [];
    if (this.#waitingCount >= WAITING_MAX) {
      const longest = [...this.#waiting.values()].reduce((a, b) => (b.length > a.length ? b : a));
      if (own.length >= longest.length) return;
      longest.pop();
      this.#waitingCount--;
    }
    this.#waiting.set(from, own);
    own.push(bytes);
    this.#waitingCount++;
  }

  #nextBatch(): { from: NodeId; bytes: Uint8Array }[] {
    const batch: { from: NodeId; bytes: Uint8Array }[] = [];
    const share = Math.max(1, Math.floor(BATCH_MAX / this.#waiting.size));
    for (const [from, waiting] of this.#waiting) {
      for (const bytes of waiting.splice(0, share)) batch.push({ from, bytes });
      if (waiting.length === 0) this.#waiting.delete(from);
    }
    this.#waitingCount -= batch.length;
    return batch;
  }

  async #run(): Promise<void> {
    this.#running = true;
    const breather = new Breather();
    try {
      // What arrives while a batch is verified is in the next one.
      while (this.#waiting.size > 0) {
        await this.#take(this.#nextBatch());
        // A batch of which nothing is worth verifying is over at once.
        if (breather.due) await breather.breathe();
      }
    } catch (error) {
      this.#waiting.clear();
      this.#waitingCount = 0;
      this.#options.failed(error);
    } finally {
      this.#running = false;
    }
  }

  async #take(batch: readonly { from: NodeId; bytes: Uint8Array }[]): Promise<void> {
    const decoded: Gossiped[] = [];
    for (const { from, bytes } of batch) {
      this.#attempt(from, () => {
        if (this.#options.knows(bytes)) return;
        const transaction = decodeTransaction(bytes);
        const refusal = this.#options.refusal(transaction);
        if (refusal !== undefined) throw refusal;
        decoded.push({ from, transaction, bytes });
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
