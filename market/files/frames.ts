import { concat, equalBytes } from '../../ledger/bytes.ts';
import { type Hash, idBytes } from '../../ledger/ids.ts';
import { FRAGMENT_BYTES, fragmentLevels, fragmentRoot, merkleRoot } from '../../ledger/merkle.ts';
import { FRAME_BYTES } from './slab-cipher.ts';

/**
 * Parts of a fragment that can be checked alone. A frame of 64 KiB is 64 leaves, a subtree of the fragment's tree: the
 * hashes of all sixteen subtrees lead to the root, and whichever frames come with them are checked against theirs.
 */

export const FRAMES_PER_FRAGMENT = FRAGMENT_BYTES / FRAME_BYTES;
const HASHES_BYTES = FRAMES_PER_FRAGMENT * 32;

/** Consecutive frames of a fragment. */
export interface Frames {
  readonly first: number;
  readonly count: number;
}

export const ALL_FRAMES: Frames = { first: 0, count: FRAMES_PER_FRAGMENT };

/** Whether a fragment has such frames; what peers ask for need not be. */
export function isFrames({ first, count }: Frames): boolean {
  return (
    Number.isInteger(first) &&
    Number.isInteger(count) &&
    first >= 0 &&
    count >= 1 &&
    first + count <= FRAMES_PER_FRAGMENT
  );
}

/** The hashes of all frames, 32 bytes each, and the bytes of some: what `openFrames` checks. */
export function sealFrames(fragment: Uint8Array, { first, count }: Frames): Uint8Array {
  const hashes = fragmentLevels(fragment).find((level) => level.length === FRAMES_PER_FRAGMENT) ?? [];
  return concat(...hashes, fragment.subarray(first * FRAME_BYTES, (first + count) * FRAME_BYTES));
}

/** The bytes of the frames, when they are those of the fragment with this root. */
export function openFrames(sealed: Uint8Array, root: Hash, { first, count }: Frames): Uint8Array | undefined {
  if (sealed.length !== HASHES_BYTES + count * FRAME_BYTES) return undefined;
  const hashes = Array.from({ length: FRAMES_PER_FRAGMENT }, (_, i) => sealed.subarray(32 * i, 32 * i + 32));
  if (!equalBytes(merkleRoot(hashes), idBytes(root))) return undefined;
  const bytes = sealed.subarray(HASHES_BYTES);
  for (let i = 0; i < count; i++) {
    const top = fragmentRoot(bytes.subarray(i * FRAME_BYTES, (i + 1) * FRAME_BYTES));
    if (!equalBytes(top, hashes[first + i] as Uint8Array)) return undefined;
  }
  return bytes;
}
