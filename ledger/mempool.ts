import { LedgerError } from './errors.ts';
import type { AccountId, TransactionId } from './ids.ts';
import { accountOf, type StateReader } from './state/draft.ts';
import { type Transaction, transactionId } from './transaction.ts';

/**
 * Transactions that wait for a block. Bounded per account and in all; when full, the cheapest leaves for a dearer one.
 * Pure: time and state arrive as arguments.
 */

export const MEMPOOL_TRANSACTIONS_MAX = 20_000;
export const MEMPOOL_BYTES_MAX = 32 * 1_048_576;
/** Waiting transactions of one account; also how far ahead of the account's nonce one may be. */
export const MEMPOOL_PER_ACCOUNT_MAX = 64;
/** A transaction that found no block in this time is dropped. */
export const MEMPOOL_LIFETIME_MS = 30 * 60_000;
/** What is to leave a full pool is looked for so many at a time. */
const VICTIMS_MAX = 256;
/** A replacement for the same nonce must pay at least this much more, in percent. */
const REPLACEMENT_PERCENT = 10n;

export interface PooledTransaction {
  readonly id: TransactionId;
  readonly transaction: Transaction;
  readonly bytes: Uint8Array;
  readonly addedMs: number;
}

export type AdmitResult = { readonly added: true } | { readonly added: false; readonly error: LedgerError };

export class Mempool {
  readonly #byId = new Map<TransactionId, PooledTransaction>();
  readonly #byAccount = new Map<AccountId, Map<number, PooledTransaction>>();
  #bytes = 0;
  /** The cheapest that may go, when the pool is full; some may have gone already. */
  #victims: PooledTransaction[] = [];

  get size(): number {
    return this.#byId.size;
  }

  get(id: TransactionId): PooledTransaction | undefined {
    return this.#byId.get(id);
  }

  all(): Iterable<PooledTransaction> {
    return this.#byId.values();
  }

  /** The nonce after the last waiting transaction of an account whose ledger nonce is `nonce`. */
  nextNonce(account: AccountId, nonce: number): number {
    const waiting = this.#byAccount.get(account);
    let next = nonce;
    while (waiting?.has(next)) next++;
    return next;
  }

  /** Takes a transaction whose signature was checked. `state` is the newest final state. */
  add(transaction: Transaction, bytes: Uint8Array, state: StateReader, nowMs: number): AdmitResult {
    const id = transactionId(transaction);
    if (this.#byId.has(id)) return { added: true };
    const refuse = (code: ConstructorParameters<typeof LedgerError>[0], message: string): AdmitResult => ({
      added: false,
      error: new LedgerError(code, message),
    });
    const { sender, nonce, feeGrains, body } = transaction;
    const account = accountOf(state, sender);
    if (nonce < account.nonce || nonce >= account.nonce + MEMPOOL_PER_ACCOUNT_MAX) {
      return refuse(
        'bad-nonce',
        `expected a nonce from ${account.nonce} to ${account.nonce + MEMPOOL_PER_ACCOUNT_MAX - 1}, got ${nonce}`,
      );
    }
    if (body.kind !== 'claim' && account.balanceGrains < feeGrains) {
      return refuse(
        'insufficient-balance',
        `the balance of ${account.balanceGrains} grains does not cover the fee of ${feeGrains}`,
      );
    }
    const rival = this.#byAccount.get(sender)?.get(nonce);
    if (rival !== undefined) {
      const least =
        rival.transaction.feeGrains + (rival.transaction.feeGrains * REPLACEMENT_PERCENT) / 100n + 1n;
      if (feeGrains < least)
        return refuse(
          'fee-too-low',
          `to replace a waiting transaction expected a fee of at least ${least} grains`,
        );
      this.#remove(rival);
    }
    if (!this.#isFull(bytes.length)) this.#victims = [];
    while (this.#isFull(bytes.length)) {
      const cheapest = this.#cheapest();
      if (cheapest === undefined || cheapest.transaction.feeGrains >= feeGrains) {
        return refuse('fee-too-low', 'the pool is full of transactions that pay at least as much');
      }
      this.#remove(cheapest);
    }
    const pooled: PooledTransaction = { id, transaction, bytes, addedMs: nowMs };
    this.#byId.set(id, pooled);
    let waiting = this.#byAccount.get(sender);
    if (waiting === undefined) {
      waiting = new Map();
      this.#byAccount.set(sender, waiting);
    }
    waiting.set(nonce, pooled);
    this.#bytes += bytes.length;
    return { added: true };
  }

  #isFull(moreBytes: number): boolean {
    return this.#byId.size >= MEMPOOL_TRANSACTIONS_MAX || this.#bytes + moreBytes > MEMPOOL_BYTES_MAX;
  }

  /**
   * Transactions in the order in which a block would take them: each account's in nonce order from the state's nonce on,
   * accounts by the fee of their first one.
   */
  *inOrder(state: StateReader): Generator<PooledTransaction> {
    const heads = [...this.#byAccount].map(([account, waiting]) => ({
      account,
      waiting,
      first: lowest(waiting),
    }));
    heads.sort((a, b) => compareFees(a.first, b.first));
    // The state is read only of accounts whose turn comes: a block takes a part of what waits.
    for (const { account, waiting } of heads) {
      // One pass an account: its followers come right after it, which keeps the order stable and the cost linear.
      for (let next = waiting.get(accountOf(state, account).nonce); next !== undefined; ) {
        yield next;
        next = waiting.get(next.transaction.nonce + 1);
      }
    }
  }

  /** Whether some transaction is its account's next. */
  hasNext(state: StateReader): boolean {
    for (const [account, waiting] of this.#byAccount)
      if (waiting.has(accountOf(state, account).nonce)) return true;
    return false;
  }

  /**
   * Drops what is too old, and of `senders` what the state has overtaken or cannot pay for any more; gives what was dropped
   * for its age.
   */
  prune(state: StateReader, nowMs: number, senders: Iterable<AccountId>): readonly PooledTransaction[] {
    for (const sender of senders) {
      const waiting = this.#byAccount.get(sender);
      if (waiting === undefined) continue;
      const { nonce, balanceGrains } = accountOf(state, sender);
      for (const pooled of [...waiting.values()]) {
        const { transaction } = pooled;
        const unpayable = transaction.body.kind !== 'claim' && transaction.feeGrains > balanceGrains;
        if (transaction.nonce < nonce || unpayable) this.#remove(pooled);
      }
    }
    const expired: PooledTransaction[] = [];
    // Oldest first, as they came.
    for (const pooled of this.#byId.values()) {
      if (nowMs - pooled.addedMs <= MEMPOOL_LIFETIME_MS) break;
      this.#remove(pooled);
      expired.push(pooled);
    }
    return expired;
  }

  /** Drops a transaction that no block can take. */
  drop(id: TransactionId): void {
    const pooled = this.#byId.get(id);
    if (pooled !== undefined) this.#remove(pooled);
  }

  /** What leaves first when the pool is full. Looked for in bulk, since a full pool is asked often. */
  #cheapest(): PooledTransaction | undefined {
    for (;;) {
      const [next] = this.#victims;
      if (next === undefined) break;
      if (this.#byId.get(next.id) === next && this.#isLast(next)) return next;
      this.#victims.shift();
    }
    // Only the last of an account may go: dropping an earlier one would strand those after it.
    const lasts = [...this.#byAccount.values()].map((waiting) =>
      [...waiting.values()].reduce((a, c) => (c.transaction.nonce > a.transaction.nonce ? c : a)),
    );
    this.#victims = lasts.sort((x, y) => compareFees(y, x)).slice(0, VICTIMS_MAX);
    return this.#victims[0];
  }

  #isLast({ transaction: { sender, nonce } }: PooledTransaction): boolean {
    const waiting = this.#byAccount.get(sender);
    return waiting !== undefined && ![...waiting.keys()].some((other) => other > nonce);
  }

  #remove(pooled: PooledTransaction): void {
    const { sender, nonce } = pooled.transaction;
    this.#byId.delete(pooled.id);
    this.#bytes -= pooled.bytes.length;
    const waiting = this.#byAccount.get(sender);
    waiting?.delete(nonce);
    if (waiting?.size === 0) this.#byAccount.delete(sender);
  }
}

/** The waiting transaction of one account with the lowest nonce; an account without any is not kept. */
function lowest(waiting: ReadonlyMap<number, PooledTransaction>): PooledTransaction {
  let found: PooledTransaction | undefined;
  for (const pooled of waiting.values())
    if (found === undefined || pooled.transaction.nonce < found.transaction.nonce) found = pooled;
  return found as PooledTransaction;
}

function compareFees(a: PooledTransaction, b: PooledTransaction): number {
  if (a.transaction.feeGrains !== b.transaction.feeGrains)
    return a.transaction.feeGrains > b.transaction.feeGrains ? -1 : 1;
  return a.id < b.id ? -1 : 1;
}
