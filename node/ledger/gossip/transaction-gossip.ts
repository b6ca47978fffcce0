import type { Logger } from 'pino';
import { LedgerError } from '../../../ledger/errors.ts';
import type { NodeId, TransactionId } from '../../../ledger/ids.ts';
import { MEMPOOL_LIFETIME_MS, type Mempool, type PooledTransaction } from '../../../ledger/mempool.ts';
import { checkEnvelope } from '../../../ledger/state/apply.ts';
import {
  decodeTransaction,
  feeFloor,
  TRANSACTION_BYTES_MAX,
  type Transaction,
  transactionIdOfBytes,
} from '../../../ledger/transaction.ts';
import { KIND } from '../../network/kinds.ts';
import type { Network } from '../../network/network.ts';
import type { Chain } from '../chain/chain.ts';
import type { Conduct } from './conduct.ts';
import { GossipIntake } from './gossip-intake.ts';

/** Transactions on their way into a block: taken from users and peers, told to the others, told again while they wait. */

/** A waiting transaction may have been lost on the way to the leader: it is told again this long after it came. */
const AGAIN_MS = 5_000;
const AGAIN_MAX = 500;
/** Then it waits in silence: a pool that let it go for its age does not get it back from one that has not yet. */
const TOLD_MS = MEMPOOL_LIFETIME_MS / 3;
/** Refusals by the block builder after which a transaction is dropped: some become valid with the next period. */
const REFUSALS_MAX = 3;
/** Refusals closer together than this are one. */
const REFUSALS_APART_MS = 1_000;
const REFUSED_MAX = 10_000;

export interface TransactionGossipOptions {
  readonly chain: Chain;
  readonly network: Network;
  readonly mempool: Mempool;
  readonly conduct: Conduct;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** There is something new to include. */
  added(): void;
  /** Signatures cannot be verified any more. */
  failed(error: unknown): void;
}

export class TransactionGossip {
  readonly #options: TransactionGossipOptions;
  readonly #refusals = new Map<TransactionId, { times: number; atMs: number }>();

  constructor(options: TransactionGossipOptions) {
    this.#options = options;
    const { chain, network, mempool, conduct, logger, signal, failed } = options;
    const intake = new GossipIntake({
      knows: (bytes) => mempool.get(transactionIdOfBytes(bytes)) !== undefined,
      refusal: (transaction) => mempool.refusal(transaction, chain.state),
      signatureHolds: (transaction, bytes) => chain.signatures.holds(transaction, bytes),
      signaturesHold: (batch) => chain.signatures.hold(batch),
      admit: ({ transaction, bytes, from }) => {
        // The floor is the same for all, always: who sends less than that did not check.
        if (transaction.feeGrains < this.#floorOf(bytes)) network.shun(from, 'fee-too-low');
        else this.#admit(transaction, bytes, from);
      },
      refused: (from, error) => {
        logger.debug({ from, code: error.code }, 'a gossiped transaction was refused');
        conduct.refused(from, error.code, performance.now());
      },
      failed,
    });
    network.handle(KIND.transaction, TRANSACTION_BYTES_MAX, (from, body) => {
      if (!signal.aborted && conduct.hears(from, performance.now())) intake.add(from, body);
      return undefined;
    });
    const timer = setInterval(() => this.#tellAgain(), AGAIN_MS);
    timer.unref();
    signal.addEventListener('abort', () => clearInterval(timer), { once: true });
  }

  /**
   * Takes a signed transaction into the pool and tells the others. Throws LedgerError with why it cannot be taken.
   * That it is in the pool is no promise: only a final block is.
   */
  submit(bytes: Uint8Array): Transaction {
    const { chain, mempool } = this.#options;
    const transaction = decodeTransaction(bytes);
    if (mempool.get(transactionIdOfBytes(bytes)) !== undefined) return transaction;
    if (!chain.signatures.holds(transaction, bytes))
      throw new LedgerError('bad-signature', 'the sender must sign its transaction');
    this.#admit(transaction, bytes);
    return transaction;
  }

  /** Tells a peer that just connected all that waits. */
  greet(peer: NodeId): void {
    const since = Date.now() - TOLD_MS;
    for (const { addedMs, bytes } of this.#options.mempool.all())
      if (addedMs > since) this.#options.network.notify(peer, KIND.transaction, bytes);
  }

  /** The block builder could not take a transaction; one that no block can take is dropped. */
  refused(pooled: PooledTransaction, error: LedgerError): void {
    // One that stands behind a refused one of the same account is not to blame.
    if (error.code === 'bad-nonce') return;
    const nowMs = performance.now();
    this.#options.mempool.setBack(pooled);
    const before = this.#refusals.get(pooled.id);
    if (before !== undefined && nowMs < before.atMs + REFUSALS_APART_MS) return;
    const times = (before?.times ?? 0) + 1;
    if (this.#refusals.size >= REFUSED_MAX) this.#refusals.clear();
    this.#refusals.set(pooled.id, { times, atMs: nowMs });
    if (times < REFUSALS_MAX) return;
    this.#refusals.delete(pooled.id);
    this.#options.mempool.drop(pooled.id);
    this.#options.logger.debug(
      { transaction: pooled.id, code: error.code },
      'a transaction that no block can take was dropped',
    );
  }

  /** Puts a transaction that its sender signed into the pool and tells the others. Throws LedgerError. */
  #admit(transaction: Transaction, bytes: Uint8Array, from?: NodeId): void {
    const { chain, mempool, network, added } = this.#options;
    checkEnvelope(transaction, bytes, chain.rules);
    const result = mempool.add(transaction, bytes, chain.state, Date.now());
    if (!result.added) throw result.error;
    network.broadcast(KIND.transaction, bytes, from);
    added();
  }

  #floorOf(bytes: Uint8Array): bigint {
    return feeFloor(bytes.length, this.#options.chain.rules.parameters.feeFloorGrainsPerKiB);
  }

  #tellAgain(): void {
    const { chain, mempool } = this.#options;
    const nowMs = Date.now();
    // Where no block comes, nothing else lets go of what is too old.
    mempool.prune(chain.state, nowMs, []);
    let budget = AGAIN_MAX;
    for (const pooled of mempool.all()) {
      // What no block could take here is not worth telling again: so it leaves all pools.
      const isTold = pooled.addedMs <= nowMs - AGAIN_MS && pooled.addedMs > nowMs - TOLD_MS;
      if (!isTold || this.#refusals.has(pooled.id)) continue;
      if (budget-- === 0) break;
      this.#options.network.broadcast(KIND.transaction, pooled.bytes);
    }
  }
}
