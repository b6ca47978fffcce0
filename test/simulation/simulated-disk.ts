import type { FinalPoint } from '../../ledger/consensus/events.ts';
import type { LogRecord } from '../../ledger/consensus/messages.ts';
import type { BlockId } from '../../ledger/ids.ts';
import type { RandomStream } from './random.ts';

/** A disk that forgets what was not synced: the final block, the log above it, and a copy of both from earlier. */

interface Contents {
  records: readonly LogRecord[];
  final: FinalPoint;
  /** Transactions that are final. */
  transactions: Set<number>;
  abstainEpoch: number | undefined;
}

export class SimulatedDisk {
  readonly #dice: RandomStream;
  #contents: Contents;
  #backup: Contents | undefined;
  #unsynced: readonly LogRecord[] = [];

  constructor(genesisId: BlockId, dice: RandomStream) {
    this.#dice = dice;
    const final = { epoch: 0, view: 0, height: 0, id: genesisId, timestampMs: 0, certificate: undefined };
    this.#contents = { records: [], final, transactions: new Set(), abstainEpoch: undefined };
  }

  get final(): FinalPoint {
    return this.#contents.final;
  }

  get transactions(): Set<number> {
    return this.#contents.transactions;
  }

  get abstainEpoch(): number | undefined {
    return this.#contents.abstainEpoch;
  }

  abstain(epoch: number): void {
    this.#contents.abstainEpoch = epoch;
  }

  get records(): readonly LogRecord[] {
    return this.#contents.records;
  }

  append(record: LogRecord): void {
    this.#unsynced = [...this.#unsynced, record];
  }

  /** What a sync that begins now will have stored when it is called. */
  sync(): () => void {
    const batch = new Set(this.#unsynced);
    return () => {
      this.#unsynced = this.#unsynced.filter((record) => !batch.has(record));
      this.#contents.records = [...this.#contents.records, ...batch];
    };
  }

  /** A prefix of what was not yet synced may be on disk all the same. */
  crash(): void {
    const kept = this.#unsynced.slice(0, this.#dice.whole(0, this.#unsynced.length));
    this.#contents.records = [...this.#contents.records, ...kept];
    this.#unsynced = [];
  }

  /** One atomic batch; the log holds nothing below it from then on. */
  commit(final: FinalPoint): void {
    this.#contents.final = final;
    this.#contents.records = this.#contents.records.filter((record) => {
      const { epoch, view } = record.kind === 'vote' ? record.vote : record.certificate;
      return epoch > final.epoch || (epoch === final.epoch && view > final.view);
    });
  }

  backUp(): void {
    this.#backup = { ...this.#contents, transactions: new Set(this.#contents.transactions) };
  }

  /** Back to the copy, as somebody does who copies an old folder over a new one. False when there is none. */
  setBack(): boolean {
    if (this.#backup === undefined) return false;
    this.#contents = this.#backup;
    this.#backup = undefined;
    return true;
  }

  /** The newest records went bad, which looks like a torn write: they are dropped. False when there are none. */
  rot(): boolean {
    if (this.#contents.records.length === 0) return false;
    this.#contents.records = this.#contents.records.slice(0, -this.#dice.whole(1, 3));
    return true;
  }

  /** The log is gone; that it was there is known, so the node may not vote in this epoch. */
  loseLog(epoch: number): void {
    this.#contents.records = [];
    this.#contents.abstainEpoch = epoch;
  }
}
