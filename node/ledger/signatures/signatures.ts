import type { Block } from '../../../ledger/block.ts';
import { toHex } from '../../../ledger/bytes.ts';
import { verify } from '../../../ledger/crypto/secp256k1.ts';
import { sha256 } from '../../../ledger/crypto/sha256.ts';
import { idBytes } from '../../../ledger/ids.ts';
import { RecentKeys } from '../../../ledger/recent-keys.ts';
import { encodeTransaction, type Transaction, transactionDigest } from '../../../ledger/transaction.ts';
import { Breather } from '../../breather.ts';
import type { SignatureCheck } from './signature-batch.ts';
import type { VerifyPool } from './verify-pool.ts';

/** Who signed what: each signature is verified once, many of them away from this thread. */

/** Hashes of signed transactions whose signature is known to be good. */
const VERIFIED_MAX = 50_000;

export class Signatures {
  readonly #verified = new RecentKeys(VERIFIED_MAX);
  readonly #blocks = new WeakMap<Block, Promise<boolean>>();
  readonly #pool: VerifyPool;

  constructor(pool: VerifyPool) {
    this.#pool = pool;
  }

  close(): Promise<void> {
    return this.#pool.close();
  }

  /** Whether the sender signed; remembered, so that a transaction is verified once on its way through mempool and block. */
  holds(transaction: Transaction, bytes: Uint8Array): boolean {
    if (this.#isVerified(bytes)) return true;
    const { publicKey, digest, signature } = signatureCheckOf(transaction, bytes);
    if (!verify(signature, digest, publicKey)) return false;
    this.#rememberVerified(bytes);
    return true;
  }

  /** `holds` of many at once, away from this thread. */
  async hold(
    signed: readonly { readonly transaction: Transaction; readonly bytes: Uint8Array }[],
  ): Promise<readonly boolean[]> {
    const unknown = signed.filter(({ bytes }) => !this.#isVerified(bytes));
    const verdicts = await this.#pool.verify(
      unknown.map(({ transaction, bytes }) => signatureCheckOf(transaction, bytes)),
    );
    const refused = new Set(unknown.filter((_, i) => verdicts[i] !== true));
    for (const one of unknown) if (!refused.has(one)) this.#rememberVerified(one.bytes);
    return signed.map((one) => !refused.has(one));
  }

  /**
   * Whether every transaction of a block is signed by its sender. Asked for before the block's turn to be executed, the
   * answer is there when it is.
   */
  blockHolds(block: Block): Promise<boolean> {
    const known = this.#blocks.get(block);
    if (known !== undefined) return known;
    const verifying = this.#verify(block);
    // Who executes the block hears of a failure; who only asked ahead does not wait for it.
    verifying.catch(() => undefined);
    this.#blocks.set(block, verifying);
    return verifying;
  }

  async #verify({ transactions }: Block): Promise<boolean> {
    const checks: SignatureCheck[] = [];
    const breather = new Breather();
    for (const transaction of transactions) {
      const bytes = encodeTransaction(transaction);
      if (!this.#isVerified(bytes)) checks.push(signatureCheckOf(transaction, bytes));
      if (breather.due) await breather.breathe();
    }
    return (await this.#pool.verify(checks, true)).every((holds) => holds);
  }

  #isVerified(bytes: Uint8Array): boolean {
    return !this.#verified.isEmpty && this.#verified.has(toHex(sha256(bytes)));
  }

  #rememberVerified(bytes: Uint8Array): void {
    this.#verified.add(toHex(sha256(bytes)));
  }
}

function signatureCheckOf({ sender, signature }: Transaction, bytes: Uint8Array): SignatureCheck {
  return { publicKey: idBytes(sender), digest: transactionDigest(bytes), signature };
}
