import { randomBytes } from 'node:crypto';
import { type FileHandle, open, rename, truncate } from 'node:fs/promises';
import { dirname } from 'node:path';
import { crc32 } from 'node:zlib';
import { toHex } from '../../../ledger/bytes.ts';
import { sha256 } from '../../../ledger/crypto/sha256.ts';
import { invariant } from '../../../ledger/errors.ts';
import { NodeError } from '../../errors.ts';

/**
 * The write-ahead log: what this node has signed and seen above the final block, so that it never contradicts itself
 * after a crash. File: magic | 16 random bytes, the log's id | frames. Frame: 8 bytes that follow from the id, so that no
 * stranger's bytes in a payload look like one | u32 length | u32 CRC-32 of the rest | u64 sequence | u64 bytes of the file
 * that were on disk when it was written | payload. Frames that were cut off, or whose parts came to the disk out of order,
 * are a torn write and are dropped; a bad one where the disk had confirmed all is damage.
 */

const MAGIC = Buffer.from('BTLOG\0\0\x02', 'latin1');
const FILE_HEADER_BYTES = 24;
const FRAME_HEADER_BYTES = 32;
const PAYLOAD_BYTES_MAX = 2 * 1_048_576;

export interface LogFrame {
  readonly sequence: number;
  readonly payload: Uint8Array;
}

/** What reading a log file found. */
export interface LogContents {
  readonly frames: readonly LogFrame[];
  /** Bytes of header and whole, good frames from the start of the file. */
  readonly goodBytes: number;
  /** True when something is bad that was on disk for certain: not a torn tail, but damage. */
  readonly damaged: boolean;
}

interface ReadFrame extends LogFrame {
  readonly syncedBytes: number;
  readonly endByte: number;
}

function markerOf(id: Uint8Array): Buffer {
  return Buffer.from(sha256(id, Buffer.from('frame')).subarray(0, 8));
}

function frameBytes(marker: Uint8Array, sequence: number, syncedBytes: number, payload: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(FRAME_HEADER_BYTES + payload.length);
  frame.set(marker, 0);
  frame.writeUInt32BE(payload.length, 8);
  frame.writeBigUInt64BE(BigInt(sequence), 16);
  frame.writeBigUInt64BE(BigInt(syncedBytes), 24);
  frame.set(payload, FRAME_HEADER_BYTES);
  frame.writeUInt32BE(crc32(frame.subarray(16)), 12);
  return frame;
}

/** The frame at `at`, when a whole good one stands there. */
function readFrame(bytes: Buffer, marker: Buffer, at: number): ReadFrame | undefined {
  if (at + FRAME_HEADER_BYTES > bytes.length || !bytes.subarray(at, at + 8).equals(marker)) return undefined;
  const length = bytes.readUInt32BE(at + 8);
  const endByte = at + FRAME_HEADER_BYTES + length;
  if (length > PAYLOAD_BYTES_MAX || endByte > bytes.length) return undefined;
  if (crc32(bytes.subarray(at + 16, endByte)) !== bytes.readUInt32BE(at + 12)) return undefined;
  return {
    sequence: Number(bytes.readBigUInt64BE(at + 16)),
    syncedBytes: Number(bytes.readBigUInt64BE(at + 24)),
    payload: bytes.subarray(at + FRAME_HEADER_BYTES, endByte),
    endByte,
  };
}

/** Reads a whole log; sequences must rise by one. */
export function readLog(bytes: Buffer): LogContents {
  if (bytes.length < FILE_HEADER_BYTES) return { frames: [], goodBytes: 0, damaged: false };
  // Nothing but zeros: a power cut before the new file was first synced.
  if (!bytes.subarray(0, MAGIC.length).equals(MAGIC))
    return { frames: [], goodBytes: 0, damaged: bytes.some((byte) => byte !== 0) };
  const marker = markerOf(bytes.subarray(MAGIC.length, FILE_HEADER_BYTES));
  const frames: LogFrame[] = [];
  let at = FILE_HEADER_BYTES;
  for (;;) {
    const frame = readFrame(bytes, marker, at);
    const previous = frames.at(-1);
    if (frame === undefined || (previous !== undefined && frame.sequence !== previous.sequence + 1)) break;
    frames.push({ sequence: frame.sequence, payload: frame.payload });
    at = frame.endByte;
  }
  // A later frame that was written when more than this was on disk says that what is bad here once was good.
  let damaged = false;
  for (let next = bytes.indexOf(marker, at); next >= 0 && !damaged; next = bytes.indexOf(marker, next + 1)) {
    const frame = readFrame(bytes, marker, next);
    damaged = frame !== undefined && frame.syncedBytes > at;
  }
  return { frames, goodBytes: at, damaged };
}

export class WriteAheadLog {
  /** Names this log, in hex: another file in its place has another one. */
  readonly id: string;
  readonly #path: string;
  readonly #header: Buffer;
  readonly #marker: Buffer;
  #file: FileHandle;
  #sequence: number;
  #bytes: number;
  #syncedBytes: number;
  #unwritten: Buffer[] = [];
  #writing = false;

  private constructor(path: string, file: FileHandle, header: Buffer, sequence: number, bytes: number) {
    this.#path = path;
    this.#file = file;
    this.#header = header;
    const id = header.subarray(MAGIC.length);
    this.id = toHex(id);
    this.#marker = markerOf(id);
    this.#sequence = sequence;
    this.#bytes = bytes;
    this.#syncedBytes = bytes;
  }

  /** Opens or makes the log; gives what it holds. Throws NodeError `data-damaged`: this node must then abstain. */
  static async open(path: string): Promise<{ log: WriteAheadLog; frames: readonly LogFrame[] }> {
    const file = await open(path, 'a+', 0o600);
    const bytes = await file.readFile();
    const { frames, goodBytes, damaged } = readLog(bytes);
    if (damaged) {
      await file.close();
      throw new NodeError(
        'data-damaged',
        `the vote log ${path} is damaged in the middle. Voting on could contradict earlier votes: move the file away only if this node is to abstain`,
      );
    }
    let header = Buffer.from(bytes.subarray(0, FILE_HEADER_BYTES));
    await truncate(path, goodBytes);
    if (goodBytes === 0) {
      header = Buffer.concat([MAGIC, randomBytes(FILE_HEADER_BYTES - MAGIC.length)]);
      await file.appendFile(header);
    }
    await file.datasync();
    await syncFolder(path);
    const sequence = (frames.at(-1)?.sequence ?? -1) + 1;
    const log = new WriteAheadLog(path, file, header, sequence, Math.max(goodBytes, FILE_HEADER_BYTES));
    return { log, frames };
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Adds a record; it is on disk after the next `sync`. */
  append(payload: Uint8Array): void {
    const frame = frameBytes(this.#marker, this.#sequence++, this.#syncedBytes, payload);
    this.#unwritten.push(frame);
    this.#bytes += frame.length;
  }

  /** Everything appended so far is on disk when it resolves: one write, one fdatasync. */
  async sync(): Promise<void> {
    const bytes = this.#bytes;
    await this.#flush();
    await this.#file.datasync();
    this.#syncedBytes = Math.max(this.#syncedBytes, bytes);
  }

  /** Writes what is not yet written. One caller at a time: interleaved writes would put records out of order. */
  async #flush(): Promise<void> {
    if (this.#unwritten.length === 0) return;
    invariant(!this.#writing, 'two writers of the vote log');
    this.#writing = true;
    const bytes = Buffer.concat(this.#unwritten);
    this.#unwritten = [];
    await this.#file.appendFile(bytes);
    this.#writing = false;
  }

  /** Replaces the log by `payloads`, atomically: a new file, synced, then renamed over the old. It keeps its id. */
  async rewrite(payloads: readonly Uint8Array[]): Promise<void> {
    const next = `${this.#path}.next`;
    const file = await open(next, 'w', 0o600);
    const parts = [this.#header];
    let bytes = FILE_HEADER_BYTES;
    for (const payload of payloads) {
      // Nobody reads the new file before all of it is on disk.
      const frame = frameBytes(this.#marker, this.#sequence++, bytes, payload);
      parts.push(frame);
      bytes += frame.length;
    }
    await file.writeFile(Buffer.concat(parts));
    await file.datasync();
    await file.close();
    await rename(next, this.#path);
    await syncFolder(this.#path);
    await this.#file.close();
    this.#file = await open(this.#path, 'a', 0o600);
    this.#unwritten = [];
    this.#bytes = bytes;
    this.#syncedBytes = bytes;
  }

  async close(): Promise<void> {
    await this.#flush();
    await this.#file.close();
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(dirname(path), 'r');
  await folder.sync();
  await folder.close();
}
