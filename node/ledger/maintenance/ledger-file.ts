import { createHash, type Hash as Hasher } from 'node:crypto';
import { type FileHandle, open, rename, rm, stat } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import * as P from 'micro-packed';
import { blockIdCodec, type Codec, chainIdCodec, decode, encode, safeU64 } from '../../../ledger/codec.ts';
import { LedgerError } from '../../../ledger/errors.ts';
import type { BlockId, ChainId } from '../../../ledger/ids.ts';
import { NodeError } from '../../errors.ts';
import { diskError } from '../../storage/disk-error.ts';

/**
 * The file that carries a ledger from one machine to another. Frame: u32 length | u32 CRC-32 of type and payload | u8 type |
 * payload. The first frame says what it is, the last carries the SHA-256 of everything before it: a file that is cut off,
 * or of which one bit changed, is told from a whole one, and where.
 */

export const FRAME = {
  head: 1,
  boundary: 2,
  final: 3,
  headers: 4,
  block: 5,
  chunk: 6,
  end: 255,
} as const;

const FRAME_HEAD_BYTES = 9;
/** A chunk or a block, and some. */
const PAYLOAD_BYTES_MAX = 2 * 1_048_576;
const READ_BYTES = 1_048_576;
/** How a file of gzip begins (RFC 1952, section 2.3.1). */
const GZIP_MAGIC = 0x1f8b;

/** What a file holds: all blocks from the first on, or headers and the state of one block. */
export interface FileHead {
  readonly kind: 'export' | 'snapshot';
  readonly chainId: ChainId;
  readonly height: number;
  readonly blockId: BlockId;
}

const headCodec = P.struct({
  magic: P.magicBytes('blocktree/ledger/1'),
  kind: P.map(P.U8, { export: 1, snapshot: 2 }),
  chainId: chainIdCodec,
  height: safeU64,
  blockId: blockIdCodec,
}) as unknown as Codec<FileHead & { magic?: undefined }>;

/** The payload of a file's first frame. */
export function encodeHead(head: FileHead): Uint8Array {
  return encode(headCodec, { ...head, magic: undefined }, 'the head of a ledger file');
}

export interface Frame {
  readonly type: number;
  readonly payload: Buffer;
  /** Bytes of the file behind this frame, to show progress. */
  readonly endByte: number;
}

/** Writes a file under another name until it is whole. */
export class LedgerFileWriter {
  readonly #path: string;
  readonly #file: FileHandle;
  readonly #hash: Hasher = createHash('sha256');
  #bytes = 0;

  private constructor(path: string, file: FileHandle) {
    this.#path = path;
    this.#file = file;
  }

  /** Throws NodeError `exists`, and as `writeError`. */
  static async create(path: string): Promise<LedgerFileWriter> {
    const there = await open(path, 'r').catch(() => undefined);
    await there?.close();
    if (there !== undefined) throw new NodeError('exists', `${path} exists already; name another file`);
    return new LedgerFileWriter(
      path,
      await open(`${path}.part`, 'w').catch((error: unknown) => {
        throw writeError(path, error);
      }),
    );
  }

  get bytes(): number {
    return this.#bytes;
  }

  async write(type: number, payload: Uint8Array): Promise<void> {
    const frame = Buffer.allocUnsafe(FRAME_HEAD_BYTES + payload.length);
    frame.writeUInt32BE(payload.length, 0);
    frame.writeUInt8(type, 8);
    frame.set(payload, FRAME_HEAD_BYTES);
    frame.writeUInt32BE(crc32(frame.subarray(8)), 4);
    if (type !== FRAME.end) this.#hash.update(frame);
    await this.#file.writeFile(frame);
    this.#bytes += frame.length;
  }

  /** Seals the file and gives it its name. */
  async finish(): Promise<void> {
    await this.write(FRAME.end, this.#hash.digest());
    await this.#file.sync();
    await this.#file.close();
    await rename(`${this.#path}.part`, this.#path);
  }

  /** Leaves nothing behind. */
  async abandon(): Promise<void> {
    await this.#file.close().catch(() => undefined);
    await rm(`${this.#path}.part`, { force: true });
  }
}

/** What writing a file failed for, in words that say what to do. */
export function writeError(path: string, error: unknown): unknown {
  switch ((error as NodeJS.ErrnoException).code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return new NodeError(
        'not-found',
        `${path} cannot be written: its folder is not there; make it first, or name another`,
      );
    case 'ENOSPC':
    case 'EDQUOT':
      return new NodeError(
        'disk-full',
        `the disk with ${path} is full, nothing was left there: make room, or name a file elsewhere`,
      );
    case 'EROFS':
      return new NodeError('no-access', `the disk with ${path} is read-only: name a file elsewhere`);
    case 'EACCES':
    case 'EPERM':
      return new NodeError('no-access', `this user may not write ${path}: name a file elsewhere`);
    default:
      return error;
  }
}

/** Opens a file to read it, more than once: a folder or a pipe will not do. */
async function openFile(path: string): Promise<FileHandle> {
  try {
    // Asked first, since opening a pipe would wait for somebody who writes.
    if (!(await stat(path)).isFile())
      throw new NodeError(
        'not-a-file',
        `${path} is not a file: what comes through a pipe has to be put in one first, since it is read twice`,
      );
    return await open(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT')
      throw new NodeError('not-found', `there is no file ${path}`);
    throw diskError(path, error) ?? error;
  }
}

/**
 * Reads frames one by one in memory of a frame; ends after the seal, which it checks. Throws NodeError `file-damaged`,
 * `not-found`, `not-a-file`, and as `diskError`.
 */
export async function* readFrames(path: string): AsyncGenerator<Frame> {
  const file = await openFile(path);
  try {
    const totalBytes = (await file.stat()).size;
    const hash = createHash('sha256');
    let buffered: Buffer = Buffer.alloc(0);
    let at = 0;
    const take = async (bytes: number): Promise<Buffer> => {
      while (buffered.length < bytes) {
        const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(READ_BYTES), 0, READ_BYTES);
        if (totalBytes === 0) throw damaged(path, 'it is empty');
        if (bytesRead === 0)
          throw damaged(
            path,
            `it is cut off at byte ${totalBytes}, in the middle of what begins at byte ${at}`,
          );
        buffered = Buffer.concat([buffered, buffer.subarray(0, bytesRead)]);
      }
      return buffered;
    };
    for (let sealed = false; !sealed; ) {
      const begin = await take(FRAME_HEAD_BYTES);
      if (at === 0 && begin.readUInt16BE(0) === GZIP_MAGIC)
        throw new NodeError('file-damaged', `${path} is compressed: unpack it first ("gunzip")`);
      if (at === 0 && begin.readUInt8(8) !== FRAME.head)
        throw damaged(path, 'it does not begin as a ledger file does');
      const length = begin.readUInt32BE(0);
      if (length > PAYLOAD_BYTES_MAX) throw damaged(path, `it was changed at byte ${at}`);
      const frame = (await take(FRAME_HEAD_BYTES + length)).subarray(0, FRAME_HEAD_BYTES + length);
      if (crc32(frame.subarray(8)) !== frame.readUInt32BE(4))
        throw damaged(path, `it was changed between bytes ${at} and ${at + frame.length}`);
      buffered = buffered.subarray(frame.length);
      at += frame.length;
      const payload = Buffer.from(frame.subarray(FRAME_HEAD_BYTES));
      const type = frame.readUInt8(8);
      if (type === FRAME.end) {
        if (!hash.digest().equals(payload)) throw damaged(path, 'parts of it were exchanged');
        if (at !== totalBytes) throw damaged(path, `something was added behind byte ${at}`);
        sealed = true;
      } else hash.update(frame);
      yield { type, payload, endByte: at };
    }
  } finally {
    await file.close();
  }
}

/** What a file says it is, without looking at the rest. Throws NodeError `file-damaged`. */
export async function readHead(path: string): Promise<FileHead> {
  for await (const { type, payload } of readFrames(path)) {
    try {
      if (type === FRAME.head) return decode(headCodec, payload, 'the head of a ledger file');
    } catch (error) {
      if (!(error instanceof LedgerError)) throw error;
    }
    break;
  }
  throw damaged(path, 'it does not begin as a ledger file does');
}

export function damaged(path: string, what: string): NodeError {
  return new NodeError(
    'file-damaged',
    `${path} is damaged: ${what}. Nothing of it was taken over that was not checked; get the file again`,
  );
}
