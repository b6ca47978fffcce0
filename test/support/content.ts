import { createHash } from 'node:crypto';
import type { FileStore } from '../../market/renter/file-store.ts';

/** Bytes that look random and are the same every time. */
export function bytesOf(seed: string, length: number): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0, i = 0; at < length; at += 32, i++)
    parts.push(createHash('sha256').update(`${seed} ${i}`).digest());
  return Buffer.concat(parts).subarray(0, length);
}

/** As an upload comes in: in pieces. `between` is called before each piece but the first. */
export async function* pieces(
  bytes: Buffer,
  size = 1_000_000,
  between?: (at: number) => void,
): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) {
    if (at > 0) between?.(at);
    yield bytes.subarray(at, at + size);
  }
}

/** All of a file. */
export async function readAll(files: FileStore, name: string): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of files.read(name)) parts.push(part);
  return Buffer.concat(parts);
}
