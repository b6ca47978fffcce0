import { type FileHandle, open, rename, truncate } from 'node:fs/promises';
import { dirname } from 'node:path';
import { crc32 } from 'node:zlib';
import { invariant } from '../../ledger/errors.ts';
import { NodeError } from '../errors.ts';

/**
 * The write-ahead log: what this node has signed and seen above the final block, so that it never contradicts itself
 * after a crash. Frame: u32 length | u32 CRC-32 of (sequence ‖ payload) | u64 sequence | payload. A frame that is cut off
 * at the end of the file is a torn write and is dropped; a bad frame with a good one behind it is damage.
 */

const HEADER_BYTES = 16;
const PAYLOAD_BYTES_MAX = 2 * 1_048_576;

export interface LogFrame {
  readonly sequence: number;
  readonly payload: Uint8Array;
}

/** What reading a log file found. */
export interface LogContents {
  readonly frames: readonly LogFrame[];
  /** Bytes of whole, good frames from the start of the file. */
  readonly goodBytes: number;
  /** True when something readable lies behind what is not: not a torn tail, but damage. */
  readonly damaged: boolean;
}

function frameBytes(sequence: number, payload: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(HEADER_BYTES + payload.length);
  frame.writeUInt32BE(payload.length, 0);
  frame.writeBigUInt64BE(BigInt(sequence), 8);
  frame.set(payload, HEADER_BYTES);
  frame.writeUInt32BE(crc32(frame.subarray(8)), 4);
  return frame;
}

/** The frame at `at`, when a whole good one stands there. */
function readFrame(bytes: Buffer, at: number): LogFrame | undefined {
  if (at + HEADER_BYTES > bytes.length) return undefined;
  const length = bytes.readUInt32BE(at);
  const end = at + HEADER_BYTES + length;
  if (length > PAYLOAD_BYTES_MAX || end > bytes.length) return undefined;
  if (crc32(bytes.subarray(at + 8, end)) !== bytes.readUInt32BE(at + 4)) return undefined;
  return { sequence: Number(bytes.readBigUInt64BE(at + 8)), payload: bytes.subarray(at + HEADER_BYTES, end) };
}

/** Reads a whole log; sequences must rise by one. */
export function readLog(bytes: Buffer): LogContents {
  const frames: LogFrame[] = [];
  let at = 0;
  for (;;) {
    const frame = readFrame(bytes, at);
    const previous = frames.at(-1);
    if (frame === undefined || (previous !== undefined && frame.sequence !== previous.sequence + 1)) break;
    frames.push(frame);
    at += HEADER_BYTES + frame.payload.length;
  }
  // Behind a torn tail there is nothing: any later good frame that continues the sequence means damage in the middle.
  const lastSequence = frames.at(-1)?.sequence ?? -1;
  let damaged = false;
  for (let probe = at + 1; probe + HEADER_BYTES <= bytes.length && !damaged; probe++) {
    const frame = readFrame(bytes, probe);
    damaged =
      frame !== undefined && frame.sequence > lastSequence && frame.sequence < lastSequence + 1_000_000;
  }
  return { frames, goodBytes: at, damaged };
}

export class WriteAheadLog {
  readonly #path: string;
  #file: FileHandle;
  #sequence: number;
  #bytes: number;
  #unwritten: Buffer[] = [];
  #writing = false;

  private constructor(path: string, file: FileHandle, sequence: number, bytes: number) {
    this.#path = path;
    this.#file = file;
    this.#sequence = sequence;
    this.#bytes = bytes;
  }

  /** Opens or makes the log; gives what it holds. Throws NodeError `data-damaged`: this node must then abstain. */
  static async open(path: string): Promise<{ log: WriteAheadLog; frames: readonly LogFrame[] }> {
    const file = await open(path, 'a+', 0o600);
    const { frames, goodBytes, damaged } = readLog(await file.readFile());
    if (damaged) {
      await file.close();
      throw new NodeError(
        'data-damaged',
        `the vote log ${path} is damaged in the middle. Voting on could contradict earlier votes: move the file away only if this node is to abstain`,
      );
    }
    await truncate(path, goodBytes);
    await syncFolder(path);
    return { log: new WriteAheadLog(path, file, (frames.at(-1)?.sequence ?? -1) + 1, goodBytes), frames };
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Adds a record; it is on disk after the next `sync`. */
  append(payload: Uint8Array): void {
    const frame = frameBytes(this.#sequence++, payload);
    this.#unwritten.push(frame);
    this.#bytes += frame.length;
  }

  /** Everything appended so far is on disk when it resolves: one write, one fdatasync. */
  async sync(): Promise<void> {
    await this.#flush();
    await this.#file.datasync();
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

  /** Replaces the log by `payloads`, atomically: a new file, synced, then renamed over the old. */
  async rewrite(payloads: readonly Uint8Array[]): Promise<void> {
    const next = `${this.#path}.next`;
    const file = await open(next, 'w', 0o600);
    const bytes = Buffer.concat(payloads.map((payload) => frameBytes(this.#sequence++, payload)));
    await file.writeFile(bytes);
    await file.datasync();
    await file.close();
    await rename(next, this.#path);
    await syncFolder(this.#path);
    await this.#file.close();
    this.#file = await open(this.#path, 'a', 0o600);
    this.#unwritten = [];
    this.#bytes = bytes.length;
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
