import { LedgerError } from '../../ledger/errors.ts';
import { type Grains, grains } from '../../ledger/grains.ts';
import type { AccountId, TransactionId } from '../../ledger/ids.ts';
import { accountOf } from '../../ledger/state/draft.ts';
import {
  encodeTransaction,
  feeFloor,
  signTransaction,
  type Transaction,
  type TransactionBody,
  transactionId,
} from '../../ledger/transaction.ts';
import { NodeError } from '../errors.ts';
import { tryOut } from '../ledger/chain/try-out.ts';
import type { LedgerNode } from '../ledger/ledger-node.ts';

/**
 * The account's transactions: numbers them, and stays with each until it is final. A transaction that the ledger
 * overtakes (a nonce used elsewhere) is signed again; one that can never be taken is given back with its reason, and
 * those behind it move up.
 */

const WAITING_MAX = 48;
const GIVE_UP_MS = 120_000;
/** Codes that another block or period may cure. */
const PASSING = new Set(['bad-nonce', 'period-not-open']);
const FAILURES_MAX = 4;

export interface Sent {
  readonly transactionId: TransactionId;
  readonly height: number;
}

interface Waiting {
  readonly body: TransactionBody;
  readonly sinceMs: number;
  transaction: Transaction;
  id: TransactionId;
  failures: number;
  resolve(sent: Sent): void;
  reject(error: Error): void;
}

export class Wallet {
  readonly accountId: AccountId;
  readonly #secret: Uint8Array;
  readonly #ledger: LedgerNode;
  readonly #offs: readonly (() => void)[];
  readonly #timer: NodeJS.Timeout;
  #waiting: Waiting[] = [];

  constructor(ledger: LedgerNode, accountId: AccountId, secret: Uint8Array) {
    this.#ledger = ledger;
    this.accountId = accountId;
    this.#secret = secret;
    const offFinal = ledger.onFinal((blocks) => {
      for (const { block } of blocks) {
        for (const transaction of block.transactions) {
          if (transaction.sender === accountId) this.#found(transactionId(transaction), block.header.height);
        }
      }
      this.#revise();
    });
    this.#offs = [offFinal, ledger.onLeap(() => this.#leapt())];
    this.#timer = setInterval(() => this.#revise(), 2_000);
    this.#timer.unref();
  }

  /** Transactions that were sent and are not final. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /**
   * Signs and sends; resolves when it is final. Rejects with LedgerError for what the ledger refuses, NodeError
   * `timeout` when no block took it in two minutes, `unknown-outcome` when the ledger went on without this node, `not-synced`
   * while it does.
   */
  submit(body: TransactionBody, feeGrains?: Grains): Promise<Sent> {
    if (this.#ledger.isLeaping) {
      return Promise.reject(
        new NodeError(
          'not-synced',
          'this node takes the newest state over from others: try again in a while',
        ),
      );
    }
    if (this.#waiting.length >= WAITING_MAX) {
      return Promise.reject(
        new NodeError('timeout', `${WAITING_MAX} transactions wait already; try again when some are final`),
      );
    }
    return new Promise((resolve, reject) => {
      const nonce = this.#nextNonce();
      const transaction = this.#sign(body, nonce, feeGrains);
      const waiting: Waiting = {
        body,
        sinceMs: Date.now(),
        transaction,
        id: transactionId(transaction),
        failures: 0,
        resolve,
        reject,
      };
      try {
        const ahead = this.#waiting.map((before) => before.transaction);
        const refusal = tryOut(this.#ledger.chain, [...ahead, transaction]).at(-1);
        // Those before it may wait for something; only what is certain about this one counts.
        if (refusal !== undefined && refusal.code !== 'bad-nonce') throw refusal;
        this.#ledger.submit(encodeTransaction(transaction));
      } catch (error) {
        reject(error as Error);
        return;
      }
      this.#waiting.push(waiting);
    });
  }

  close(): void {
    for (const off of this.#offs) off();
    clearInterval(this.#timer);
    for (const { reject } of this.#waiting.splice(0))
      reject(new NodeError('not-running', 'the node is stopping; what was sent may still become final'));
  }

  #nextNonce(): number {
    const { nonce } = accountOf(this.#ledger.chain.state, this.accountId);
    const last = this.#waiting.at(-1)?.transaction.nonce;
    return Math.max(last === undefined ? 0 : last + 1, this.#ledger.mempool.nextNonce(this.accountId, nonce));
  }

  #sign(body: TransactionBody, nonce: number, feeGrains?: Grains): Transaction {
    const { chainId, parameters } = this.#ledger.chain.rules;
    const unsigned = { chainId, sender: this.accountId, nonce, feeGrains: feeGrains ?? grains(0), body };
    if (feeGrains !== undefined) return signTransaction(unsigned, this.#secret);
    const bytes = encodeTransaction({ ...unsigned, signature: new Uint8Array(64) }).length;
    return signTransaction(
      { ...unsigned, feeGrains: feeFloor(bytes, parameters.feeFloorGrainsPerKiB) },
      this.#secret,
    );
  }

  #found(id: TransactionId, height: number): void {
    const at = this.#waiting.findIndex((waiting) => waiting.id === id);
    if (at < 0) return;
    const [found] = this.#waiting.splice(at, 1);
    found?.resolve({ transactionId: id, height });
  }

  /**
   * Blocks were left out: whether they had what the state has overtaken is not known here, and sending it again could pay
   * twice.
   */
  #leapt(): void {
    const { nonce } = accountOf(this.#ledger.chain.state, this.accountId);
    const overtaken = this.#waiting.filter(({ transaction }) => transaction.nonce < nonce);
    this.#waiting = this.#waiting.filter(({ transaction }) => transaction.nonce >= nonce);
    for (const { id, reject } of overtaken)
      reject(
        new NodeError(
          'unknown-outcome',
          `the ledger went on while this node was away, and whether it took transaction ${id} is not known here: ask a node that keeps all bodies before it is sent again`,
        ),
      );
    this.#revise();
  }

  /** Gives back what cannot become final any more, and renumbers what can. */
  #revise(): void {
    if (this.#ledger.isLeaping) return;
    const { chain, mempool } = this.#ledger;
    for (;;) {
      const [first] = this.#waiting;
      if (first === undefined) return;
      const { nonce } = accountOf(chain.state, this.accountId);
      if (first.transaction.nonce !== nonce) {
        // Overtaken by a transaction that was signed elsewhere, or one before it was given back.
        if (first.transaction.nonce < nonce || mempool.get(first.id) === undefined) this.#renumber(nonce);
        else return;
        continue;
      }
      const [error] = tryOut(chain, [first.transaction]);
      if (error !== undefined && (!PASSING.has(error.code) || ++first.failures > FAILURES_MAX)) {
        this.#giveBack(first, error);
        continue;
      }
      if (Date.now() - first.sinceMs > GIVE_UP_MS) {
        this.#giveBack(
          first,
          new NodeError('timeout', 'no block took the transaction in two minutes; is the network reachable?'),
        );
        continue;
      }
      for (const waiting of this.#waiting) this.#pool(waiting);
      return;
    }
  }

  #giveBack(waiting: Waiting, error: Error): void {
    this.#waiting = this.#waiting.filter((other) => other !== waiting);
    this.#ledger.mempool.drop(waiting.id);
    waiting.reject(error);
    this.#renumber(accountOf(this.#ledger.chain.state, this.accountId).nonce);
  }

  #renumber(from: number): void {
    for (const [i, waiting] of this.#waiting.entries()) {
      if (waiting.transaction.nonce === from + i) continue;
      this.#ledger.mempool.drop(waiting.id);
      waiting.transaction = this.#sign(waiting.body, from + i);
      waiting.id = transactionId(waiting.transaction);
    }
    for (const waiting of this.#waiting) this.#pool(waiting);
  }

  /** A pool may have dropped it: it is put back as long as it is wanted. */
  #pool(waiting: Waiting): void {
    if (this.#ledger.mempool.get(waiting.id) !== undefined) return;
    try {
      this.#ledger.submit(encodeTransaction(waiting.transaction));
    } catch (error) {
      if (!(error instanceof LedgerError)) throw error;
    }
  }
}
