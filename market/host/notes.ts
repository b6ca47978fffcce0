import { concat, equalBytes } from '../../ledger/bytes.ts';
import type { AccountId } from '../../ledger/ids.ts';
import { MarketError } from '../errors.ts';
import type { KeyValues, SealedNote } from '../interfaces.ts';
import { NOTE_BYTES_MAX } from '../renter/note.ts';

/** What renters leave with a host beside their fragments, one each: the newest. A host cannot read it. */

/** 8 bytes of sequence, then the note; as stored and as sent. */
export function encodeNote({ sequence, bytes }: SealedNote): Uint8Array {
  const head = new Uint8Array(8);
  new DataView(head.buffer).setBigUint64(0, BigInt(sequence));
  return concat(head, bytes);
}

/** Throws MarketError `wrong-size`. */
export function decodeNote(body: Uint8Array): SealedNote {
  if (body.length < 8 || body.length > 8 + NOTE_BYTES_MAX)
    throw new MarketError('wrong-size', `expected a note of at most ${NOTE_BYTES_MAX} bytes`);
  const sequence = Number(new DataView(body.buffer, body.byteOffset).getBigUint64(0));
  if (!Number.isSafeInteger(sequence)) throw new MarketError('bad-terms', 'expected a smaller number');
  return { sequence, bytes: body.subarray(8) };
}

export class Notes {
  readonly #store: KeyValues;

  constructor(store: KeyValues) {
    this.#store = store;
  }

  get(renter: AccountId): SealedNote | undefined {
    const row = this.#store.get(`note/${renter}`);
    return row && decodeNote(row);
  }

  /** Throws MarketError `outdated` when a newer one is here, `wrong-size`. */
  async keep(renter: AccountId, note: SealedNote): Promise<void> {
    if (note.bytes.length > NOTE_BYTES_MAX)
      throw new MarketError('wrong-size', `expected a note of at most ${NOTE_BYTES_MAX} bytes`);
    const before = this.get(renter);
    const same = before?.sequence === note.sequence && equalBytes(before.bytes, note.bytes);
    if (before !== undefined && before.sequence >= note.sequence && !same)
      throw new MarketError('outdated', `a newer note of this renter is here, number ${before.sequence}`);
    await this.#store.write([{ key: `note/${renter}`, value: encodeNote(note) }]);
  }

  async renters(): Promise<readonly AccountId[]> {
    const rows = await this.#store.range('note/');
    return rows.map(({ key }) => key.slice('note/'.length) as AccountId);
  }
}
