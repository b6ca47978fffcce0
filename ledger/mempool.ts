import { LedgerError } from './errors.ts';
import { compareFees, FeeOrder } from './fee-order.ts';
import { formatAcorns } from './grains.ts';
import type { AccountId, TransactionId } from './ids.ts';
import { accountOf, type StateReader } from './state/draft.ts';
import type { Account } from './state/entities.ts';
import { type Transaction, transactionId } from './transaction.ts';

/**
 * Transactions that wait for a block. Bounded per account and in all; when full, what no block can take as it stands leaves
 * first, whatever fee it names, then the cheapest for a dearer one. Pure: time and state arrive as arguments.
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

/** What waits of one account. */
interface Queue {
  /** The account's nonce in the newest final state. */
  nonce: number;
  /** By nonce. */
  readonly waiting: Map<number, PooledTransaction>;
  /** A transaction that a block builder could not take: nothing of this account goes on before it is gone. */
  stuckOn: TransactionId | undefined;
}

/** Where an account has got to. */
interface Head {
  readonly waiting: ReadonlyMap<number, PooledTransaction>;
  readonly pooled: PooledTransaction;
  /** Whether it is known to be the next by the state that is built upon. */
  readonly isNext: boolean;
}

interface Victim {
  readonly pooled: PooledTransaction;
  readonly stranded: boolean;
}

export type AdmitResult = { readonly added: true } | { readonly added: false; readonly error: LedgerError };

export class Mempool {
  readonly #byId = new Map<TransactionId, PooledTransaction>();
  readonly #byAccount = new Map<AccountId, Queue>();
  #bytes = 0;
  /** What may go first, when the pool is full; some may have gone already. */
  #victims: Victim[] = [];

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
    const waiting = this.#byAccount.get(account)?.waiting;
    let next = nonce;
    while (waiting?.has(next)) next++;
    return next;
  }

  /** Why a transaction cannot wait here, whoever signed it: its nonce, the means of its sender, or one that pays as much. */
  refusal(transaction: Transaction, state: StateReader): LedgerError | undefined {
    return this.#refusal(transaction, accountOf(state, transaction.sender));
  }

  #refusal({ sender, nonce, feeGrains, body }: Transaction, account: Account): LedgerError | undefined {
    if (nonce < account.nonce || nonce >= account.nonce + MEMPOOL_PER_ACCOUNT_MAX) {
      return new LedgerError(
        'bad-nonce',
        `expected a nonce from ${account.nonce} to ${account.nonce + MEMPOOL_PER_ACCOUNT_MAX - 1}, got ${nonce}`,
      );
    }
    const waiting = this.#byAccount.get(sender)?.waiting;
    const rivalGrains = waiting?.get(nonce)?.transaction.feeGrains;
    if (rivalGrains !== undefined) {
      const least = rivalGrains + (rivalGrains * REPLACEMENT_PERCENT) / 100n + 1n;
      if (feeGrains < least)
        return new LedgerError(
          'fee-too-low',
          `to replace a waiting transaction expected a fee of at least ${formatAcorns(least)} acorns`,
        );
    }
    if (body.kind === 'claim') return undefined;
    let feesGrains: bigint = feeGrains;
    for (const { transaction: other } of waiting?.values() ?? [])
      if (other.nonce !== nonce && other.body.kind !== 'claim') feesGrains += other.feeGrains;
    if (account.balanceGrains >= feesGrains) return undefined;
    return new LedgerError(
      'insufficient-balance',
      `the balance of ${formatAcorns(account.balanceGrains)} acorns does not cover the fees of all that waits, ${formatAcorns(feesGrains)}`,
    );
  }

  /** Takes a transaction whose signature was checked. `state` is the newest final state. */
  add(transaction: Transaction, bytes: Uint8Array, state: StateReader, nowMs: number): AdmitResult {
    const id = transactionId(transaction);
    if (this.#byId.has(id)) return { added: true };
    const { sender } = transaction;
    const account = accountOf(state, sender);
    const refusal = this.#refusal(transaction, account);
    if (refusal !== undefined) return { added: false, error: refusal };
    if (!this.#makeRoom(transaction, bytes.length, account.nonce)) {
      const message = 'the pool is full of transactions that pay at least as much';
      return { added: false, error: new LedgerError('fee-too-low', message) };
    }
    const own = this.#byAccount.get(sender) ?? { nonce: 0, waiting: new Map(), stuckOn: undefined };
    own.nonce = account.nonce;
    this.#insert({ id, transaction, bytes, addedMs: nowMs }, own);
    return { added: true };
  }

  /** Takes out what a transaction replaces, and what gives way to it in a full pool; false, and nothing leaves, if too little does. */
  #makeRoom({ sender, nonce, feeGrains }: Transaction, bytes: number, nextNonce: number): boolean {
    let rival = this.#byAccount.get(sender)?.waiting.get(nonce);
    const isFull = (): boolean =>
      this.#byId.size + (rival === undefined ? 1 : 0) > MEMPOOL_TRANSACTIONS_MAX ||
      this.#bytes + bytes - (rival?.bytes.length ?? 0) > MEMPOOL_BYTES_MAX;
    if (!isFull()) this.#victims = [];
    const isNext = this.nextNonce(sender, nextNonce) >= nonce;
    const left: [victim: Victim, queue: Queue][] = [];
    while (isFull()) {
      const victim = this.#victim();
      const givesWay =
        victim !== undefined &&
        (victim.pooled === rival || victim.pooled.transaction.sender !== sender) &&
        ((victim.stranded && isNext) ||
          ((victim.stranded || isNext) && victim.pooled.transaction.feeGrains < feeGrains));
      if (!givesWay) {
        this.#takeBack(left);
        return false;
      }
      left.push([victim, this.#byAccount.get(victim.pooled.transaction.sender) as Queue]);
      this.#remove(victim.pooled);
      if (victim.pooled === rival) rival = undefined;
    }
    if (rival !== undefined) this.#remove(rival);
    return true;
  }

  #insert(pooled: PooledTransaction, queue: Queue): void {
    const { sender, nonce } = pooled.transaction;
    this.#byId.set(pooled.id, pooled);
    this.#byAccount.set(sender, queue);
    queue.waiting.set(nonce, pooled);
    this.#bytes += pooled.bytes.length;
  }

  /** Nothing leaves for a transaction that does not come. */
  #takeBack(left: readonly (readonly [victim: Victim, queue: Queue])[]): void {
    for (const [{ pooled }, queue] of left) this.#insert(pooled, queue);
    this.#victims.unshift(...left.map(([victim]) => victim));
  }

  /**
   * Transactions in the order in which a block would take them: always the dearest of those that are next of their accounts,
   * so that nobody's cheap ones ride ahead behind a dear one. `state`: the final one, or one that blocks after it lead to.
   */
  *inOrder(state: StateReader): Generator<PooledTransaction> {
    const heads = [...this.#ready()].map(
      ([, { waiting }]): Head => ({ waiting, pooled: lowest(waiting), isNext: false }),
    );
    const order = new FeeOrder(heads);
    for (let head = order.take(); head !== undefined; head = order.take()) {
      const { waiting, pooled, isNext } = head;
      const { sender, nonce } = pooled.transaction;
      // The state is read only of accounts whose turn comes: a block takes a part of what waits.
      const next = isNext ? pooled : waiting.get(accountOf(state, sender).nonce);
      if (next === pooled) yield pooled;
      const other = next === pooled ? waiting.get(nonce + 1) : next;
      if (other !== undefined) order.add({ waiting, pooled: other, isNext: true });
    }
  }

  /** The next transaction of each account that has one, in no order: to tell whether there is any that a block can take. */
  *heads(state: StateReader): Generator<PooledTransaction> {
    for (const [account, { waiting }] of this.#ready()) {
      const next = waiting.get(accountOf(state, account).nonce);
      if (next !== undefined) yield next;
    }
  }

  /** Accounts whose next transaction by the final state waits here; of others the state is not even read. */
  *#ready(): Generator<readonly [AccountId, Queue]> {
    for (const entry of this.#byAccount) if (entry[1].waiting.has(entry[1].nonce)) yield entry;
  }

  /**
   * Drops what is too old, and of `senders` what the state has overtaken or cannot pay for any more; gives what was dropped
   * for its age.
   */
  prune(state: StateReader, nowMs: number, senders: Iterable<AccountId>): readonly PooledTransaction[] {
    for (const sender of senders) {
      const queue = this.#byAccount.get(sender);
      if (queue === undefined) continue;
      const { nonce, balanceGrains } = accountOf(state, sender);
      queue.nonce = nonce;
      let feesGrains = 0n;
      for (const pooled of inNonceOrder(queue)) {
        const { transaction } = pooled;
        const isClaim = transaction.body.kind === 'claim';
        const fees = isClaim ? feesGrains : feesGrains + transaction.feeGrains;
        if (transaction.nonce < nonce || (!isClaim && fees > balanceGrains)) this.#remove(pooled);
        else feesGrains = fees;
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

  /** A block builder could not take a transaction: those of its account wait in vain until it is gone. */
  setBack({ id, transaction }: PooledTransaction): void {
    const queue = this.#byAccount.get(transaction.sender);
    if (queue !== undefined) queue.stuckOn = id;
  }

  /** What leaves first when the pool is full. Looked for in bulk, since a full pool is asked often. */
  #victim(): Victim | undefined {
    for (;;) {
      const [next] = this.#victims;
      if (next === undefined) break;
      const { pooled, stranded } = next;
      const queue = this.#byAccount.get(pooled.transaction.sender);
      const waits = queue !== undefined && this.#byId.get(pooled.id) === pooled;
      if (waits && isLast(queue, pooled) && isStranded(queue) === stranded) return next;
      this.#victims.shift();
    }
    // Only the last of an account may go: dropping an earlier one would strand those after it.
    const stranded: Victim[] = [];
    const lasts: Victim[] = [];
    for (const queue of this.#byAccount.values()) {
      if (isStranded(queue))
        for (const pooled of inNonceOrder(queue).reverse()) stranded.push({ pooled, stranded: true });
      else lasts.push({ pooled: inNonceOrder(queue).at(-1) as PooledTransaction, stranded: false });
    }
    lasts.sort((x, y) => compareFees(y.pooled, x.pooled));
    this.#victims = [...stranded, ...lasts].slice(0, VICTIMS_MAX);
    return this.#victims[0];
  }

  #remove(pooled: PooledTransaction): void {
    const { sender, nonce } = pooled.transaction;
    this.#byId.delete(pooled.id);
    this.#bytes -= pooled.bytes.length;
    const waiting = this.#byAccount.get(sender)?.waiting;
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

function inNonceOrder({ waiting }: Queue): PooledTransaction[] {
  return [...waiting.values()].sort((a, b) => a.transaction.nonce - b.transaction.nonce);
}

function isLast({ waiting }: Queue, { transaction: { nonce } }: PooledTransaction): boolean {
  return ![...waiting.keys()].some((other) => other > nonce);
}

/** Whether the last of an account stands behind a nonce that is missing, or behind a transaction that no block took. */
function isStranded({ nonce, waiting, stuckOn }: Queue): boolean {
  return waiting.get(nonce)?.id === stuckOn || Math.max(...waiting.keys()) !== nonce + waiting.size - 1;
}
