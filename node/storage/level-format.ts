import { crc32c } from './crc32c.ts';

/**
 * The files of LevelDB as its documents describe them (doc/log_format.md, doc/table_format.md, db/version_edit.cc): enough
 * to say whether a file is whole. LevelDB itself skips damaged journal records and does not check tables when it reads.
 */

/** What is wrong with a file; `undefined` when it is whole. */
export type Damage = string | undefined;

const LOG_BLOCK_BYTES = 32_768;
const LOG_HEAD_BYTES = 7;
const FOOTER_BYTES = 48;
const TABLE_MAGIC = 0xdb4775248b80fb57n;
const TRAILER_BYTES = 5;

/** Checksums are stored rotated and shifted, so that a checksum of checksums is no trap. */
function checksumHolds(stored: number, actual: number): boolean {
  return stored === (((actual >>> 15) | (actual << 17)) + 0xa282ead8) >>> 0;
}

interface LogRecord {
  /** 1 whole, 2 first, 3 middle, 4 last. */
  readonly type: number;
  readonly data: Uint8Array;
  readonly end: number;
}

function logRecordAt(bytes: Buffer, at: number): LogRecord | undefined {
  const blockEnd = Math.min(bytes.length, at - (at % LOG_BLOCK_BYTES) + LOG_BLOCK_BYTES);
  if (at + LOG_HEAD_BYTES > blockEnd) return undefined;
  const end = at + LOG_HEAD_BYTES + bytes.readUInt16LE(at + 4);
  const type = bytes[at + 6] as number;
  if (end > blockEnd || type < 1 || type > 4) return undefined;
  if (!checksumHolds(bytes.readUInt32LE(at), crc32c(bytes, at + 6, end))) return undefined;
  return { type, data: bytes.subarray(at + LOG_HEAD_BYTES, end), end };
}

const SECTOR_BYTES = 512;

/** Whether a sector, or what is left of one at `from`, is empty. */
function hasEmptySector(bytes: Buffer, from: number, to: number): boolean {
  for (let at = from; at < to; ) {
    const end = at - (at % SECTOR_BYTES) + SECTOR_BYTES;
    if (end <= to && bytes.subarray(at, end).every((byte) => byte === 0)) return true;
    at = end;
  }
  return false;
}

export interface LogContents {
  readonly records: readonly Uint8Array[];
  readonly damage: Damage;
  /**
   * Where a gap begins: sectors that never came to the disk, though others behind them did, as a power cut leaves it of what
   * was not synced. It is damage where all was synced.
   */
  readonly gapAt: number | undefined;
}

/** The records of a journal or manifest. A write that a crash cut off at the end is no damage. */
export function readLog(bytes: Buffer): LogContents {
  const records: Uint8Array[] = [];
  let parts: Uint8Array[] = [];
  let at = 0;
  for (;;) {
    const left = LOG_BLOCK_BYTES - (at % LOG_BLOCK_BYTES);
    if (left < LOG_HEAD_BYTES) at += left;
    const record = logRecordAt(bytes, at);
    if (record === undefined) break;
    at = record.end;
    const begins = record.type === 1 || record.type === 2;
    if (begins !== (parts.length === 0))
      return { records, damage: `a record is cut in two before byte ${at}`, gapAt: undefined };
    parts.push(record.data);
    if (record.type === 1 || record.type === 4) {
      records.push(Buffer.concat(parts));
      parts = [];
    }
  }
  // Whatever is whole behind the place where reading ended shows that it was no torn tail.
  for (let probe = at + 1; probe + LOG_HEAD_BYTES <= bytes.length; probe++) {
    const record = logRecordAt(bytes, probe);
    if (record !== undefined && record.data.length > 0) {
      const gapAt = hasEmptySector(bytes, at, probe) ? at : undefined;
      return { records, damage: `it is damaged at byte ${at}, with good records behind`, gapAt };
    }
  }
  return { records, damage: undefined, gapAt: undefined };
}

class Reader {
  readonly #bytes: Uint8Array;
  at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get done(): boolean {
    return this.at >= this.#bytes.length;
  }

  /** Throws RangeError when the bytes end before the number does. */
  varint(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.#bytes[this.at++];
      if (byte === undefined || scale > 2 ** 49) throw new RangeError('a number that does not end');
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  }

  take(length: number): Uint8Array {
    const from = this.at;
    this.at += length;
    if (this.at > this.#bytes.length) throw new RangeError('bytes that are not there');
    return this.#bytes.subarray(from, this.at);
  }
}

const SEQUENCE_MAX = 2 ** 56;

/**
 * Whether the records of a journal are writes, one after another: LevelDB ends the process over what is none, as another file
 * under a journal's name.
 */
export function journalDamage(records: readonly Uint8Array[]): Damage {
  let next = 0;
  try {
    for (const record of records) {
      const reader = new Reader(record);
      const head = reader.take(12);
      const view = new DataView(head.buffer, head.byteOffset, head.length);
      const sequence = Number(view.getBigUint64(0, true));
      if (sequence < next || sequence >= SEQUENCE_MAX) return 'its records do not follow each other';
      let left = view.getUint32(8, true);
      next = sequence + left;
      for (; left > 0; left--) {
        const isPut = reader.take(1)[0] === 1;
        reader.take(reader.varint());
        if (isPut) reader.take(reader.varint());
      }
      if (!reader.done) return 'a record holds more than it says';
    }
    return undefined;
  } catch (error) {
    if (error instanceof RangeError) return `a record cannot be read: ${error.message}`;
    throw error;
  }
}

/** What the manifest says is there. */
export interface LiveFiles {
  /** Table sizes in bytes by file number. */
  readonly tables: ReadonlyMap<number, number>;
  /** The oldest journal that is still needed. */
  readonly journal: number;
}

/** Sums up the edits of a manifest. Throws RangeError for what is no edit. */
export function liveFiles(edits: readonly Uint8Array[]): LiveFiles {
  const tables = new Map<number, number>();
  let journal = 0;
  for (const edit of edits) {
    const reader = new Reader(edit);
    while (!reader.done) {
      const tag = reader.varint();
      if (tag === 1) reader.take(reader.varint());
      else if (tag === 2) journal = reader.varint();
      else if (tag === 3 || tag === 4 || tag === 9) reader.varint();
      else if (tag === 5) {
        reader.varint();
        reader.take(reader.varint());
      } else if (tag === 6) {
        reader.varint();
        tables.delete(reader.varint());
      } else if (tag === 7) {
        reader.varint();
        const number = reader.varint();
        tables.set(number, reader.varint());
        reader.take(reader.varint());
        reader.take(reader.varint());
      } else throw new RangeError(`an unknown edit ${tag}`);
    }
  }
  return { tables, journal };
}

/** Checks every block of a table against its checksum. */
export function tableDamage(bytes: Buffer): Damage {
  try {
    if (bytes.length < FOOTER_BYTES || bytes.readBigUInt64LE(bytes.length - 8) !== TABLE_MAGIC)
      return 'it does not end as a table does';
    const footer = new Reader(bytes.subarray(bytes.length - FOOTER_BYTES));
    const meta = { offset: footer.varint(), size: footer.varint() };
    const index = { offset: footer.varint(), size: footer.varint() };
    for (const handle of [meta, index]) if (!blockHolds(bytes, handle)) return blockDamage(handle);
    for (const list of [meta, index]) {
      for (const handle of handlesIn(blockContents(bytes, list)))
        if (!blockHolds(bytes, handle)) return blockDamage(handle);
    }
    return undefined;
  } catch (error) {
    if (error instanceof RangeError) return `its index cannot be read: ${error.message}`;
    throw error;
  }
}

interface BlockHandle {
  readonly offset: number;
  readonly size: number;
}

const blockDamage = ({ offset }: BlockHandle): string => `the block at byte ${offset} is damaged`;

function blockHolds(bytes: Buffer, { offset, size }: BlockHandle): boolean {
  const end = offset + size;
  return (
    end + TRAILER_BYTES <= bytes.length &&
    checksumHolds(bytes.readUInt32LE(end + 1), crc32c(bytes, offset, end + 1))
  );
}

function blockContents(bytes: Buffer, { offset, size }: BlockHandle): Uint8Array {
  const contents = bytes.subarray(offset, offset + size);
  const type = bytes[offset + size];
  if (type === 0) return contents;
  if (type === 1) return unsnap(contents);
  throw new RangeError(`an unknown compression ${type}`);
}

/** The values of an index block, each a block handle. */
function handlesIn(block: Uint8Array): readonly BlockHandle[] {
  const restarts = new DataView(block.buffer, block.byteOffset).getUint32(block.length - 4, true);
  const entries = new Reader(block.subarray(0, block.length - 4 - 4 * restarts));
  const handles: BlockHandle[] = [];
  while (!entries.done) {
    entries.varint();
    const rest = entries.varint();
    const valueLength = entries.varint();
    entries.take(rest);
    const value = new Reader(entries.take(valueLength));
    handles.push({ offset: value.varint(), size: value.varint() });
  }
  return handles;
}

/** Snappy's raw format (google/snappy, format_description.txt). Throws RangeError for what is not. */
function unsnap(packed: Uint8Array): Uint8Array {
  const reader = new Reader(packed);
  const out = Buffer.alloc(reader.varint());
  let end = 0;
  while (!reader.done) {
    const tag = (reader.take(1)[0] as number) >>> 0;
    const kind = tag & 3;
    const extra = (bytes: number): number =>
      reader.take(bytes).reduce((sum, byte, i) => sum + byte * 256 ** i, 0);
    if (kind === 0) {
      const short = tag >>> 2;
      const length = (short < 60 ? short : extra(short - 59)) + 1;
      if (end + length > out.length) throw new RangeError('more than was announced');
      out.set(reader.take(length), end);
      end += length;
      continue;
    }
    const length = kind === 1 ? ((tag >>> 2) & 7) + 4 : (tag >>> 2) + 1;
    const back = kind === 1 ? (tag >>> 5) * 256 + extra(1) : extra(kind === 2 ? 2 : 4);
    if (back === 0 || back > end || end + length > out.length) throw new RangeError('a copy from nowhere');
    for (let i = 0; i < length; i++, end++) out[end] = out[end - back] as number;
  }
  if (end !== out.length) throw new RangeError('less than was announced');
  return out;
}
