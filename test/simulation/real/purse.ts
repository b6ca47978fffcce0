import { grains } from '../../../ledger/grains.ts';
import type { ChainId, TransactionId } from '../../../ledger/ids.ts';
import {
  encodeTransaction,
  signTransaction,
  type TransactionBody,
  transactionId,
} from '../../../ledger/transaction.ts';
import type { Person } from '../../support/ledger-world.ts';

/** Wishes at a time, of one who goes by that. */
const WISHES_MAX = 6;

/** An account holder who sends one thing after another, each until it is final. */
export class Purse {
  readonly person: Person;
  readonly #chainId: ChainId;
  readonly #wishes: { readonly body: TransactionBody; isVain(): boolean }[] = [];
  #nonce = 0;
  #attempts = 0;
  #sent: { readonly id: TransactionId; readonly bytes: Uint8Array } | undefined;

  constructor(person: Person, chainId: ChainId) {
    this.person = person;
    this.#chainId = chainId;
  }

  get isDone(): boolean {
    return this.#wishes.length === 0;
  }

  get isBusy(): boolean {
    return this.#wishes.length >= WISHES_MAX;
  }

  /** Wishes for something, unless it has become vain when its turn comes. */
  wish(body: TransactionBody, isVain = (): boolean => false): void {
    this.#wishes.push({ body, isVain });
  }

  /** What to send now, again and again until it is final. */
  next(): Uint8Array | undefined {
    while (this.#wishes[0]?.isVain() === true) {
      this.#wishes.shift();
      this.#sent = undefined;
    }
    const [wish] = this.#wishes;
    if (wish === undefined) return undefined;
    if (this.#sent === undefined) {
      const transaction = signTransaction(
        {
          chainId: this.#chainId,
          sender: this.person.accountId,
          nonce: this.#nonce,
          // What stands in the place of a vain one must pay more.
          feeGrains: grains(100_000 * ++this.#attempts),
          body: wish.body,
        },
        this.person.accountSecret,
      );
      this.#sent = { id: transactionId(transaction), bytes: encodeTransaction(transaction) };
    }
    return this.#sent.bytes;
  }

  /** A transaction is final; true when it was the one that this waits for. */
  final(id: TransactionId): boolean {
    if (this.#sent?.id !== id) return false;
    this.#nonce++;
    this.#wishes.shift();
    this.#sent = undefined;
    return true;
  }
}
