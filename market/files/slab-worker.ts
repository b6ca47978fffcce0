import { createHash } from 'node:crypto';
import { parentPort } from 'node:worker_threads';
import { FRAGMENT_BYTES, fragmentRoot } from '../../ledger/merkle.ts';
import { MarketError } from '../errors.ts';
import { Erasure } from './erasure.ts';
import type { Scheme } from './scheme.ts';
import { decryptSlab, encryptSlab } from './slab-cipher.ts';

/** The heavy half of files, in a thread of its own: cipher, erasure code, fragment roots. */

export type SlabTask =
  | { readonly kind: 'encode'; readonly plain: Uint8Array; readonly key: Uint8Array; readonly scheme: Scheme }
  | {
      readonly kind: 'decode';
      readonly fragments: readonly (Uint8Array | undefined)[];
      readonly key: Uint8Array;
      readonly scheme: Scheme;
      readonly length: number;
    }
  | {
      readonly kind: 'rebuild';
      readonly fragments: readonly (Uint8Array | undefined)[];
      readonly scheme: Scheme;
    }
  | {
      readonly kind: 'restore';
      readonly parts: readonly (Uint8Array | undefined)[];
      readonly scheme: Scheme;
      readonly index: number;
    }
  | {
      readonly kind: 'decrypt';
      readonly cipherText: Uint8Array;
      readonly key: Uint8Array;
      readonly length: number;
      readonly first: number;
    };

export interface CodedSlab {
  /** SHA-256 of what was encoded, hex; empty where nothing was. */
  readonly plainHash: string;
  /** All fragments of the slab, data first. */
  readonly fragments: readonly Uint8Array[];
  /** Their roots, 32 bytes each. */
  readonly roots: readonly Uint8Array[];
}

export type SlabAnswer =
  | { readonly id: number; readonly coded: CodedSlab }
  | { readonly id: number; readonly bytes: Uint8Array }
  | { readonly id: number; readonly error: { readonly code: MarketError['code']; readonly message: string } };

const erasure = new Erasure();

/** All fragments of a slab, or the same parts of each; the data among them restored from any `data` that are there. */
function complete(fragments: readonly (Uint8Array | undefined)[], scheme: Scheme): Uint8Array {
  const length = fragments.find((fragment) => fragment !== undefined)?.length ?? FRAGMENT_BYTES;
  const shards = erasure.room(scheme, length);
  for (const [i, fragment] of fragments.entries())
    if (fragment !== undefined) shards.set(fragment, i * length);
  erasure.restore(
    scheme,
    length,
    fragments.map((fragment) => fragment !== undefined),
  );
  return shards;
}

function split(shards: Uint8Array, plainHash: string): CodedSlab {
  const fragments: Uint8Array[] = [];
  for (let at = 0; at < shards.length; at += FRAGMENT_BYTES)
    fragments.push(shards.slice(at, at + FRAGMENT_BYTES));
  return { fragments, roots: fragments.map(fragmentRoot), plainHash };
}

function perform(task: SlabTask): { coded: CodedSlab } | { bytes: Uint8Array } {
  switch (task.kind) {
    case 'encode': {
      const shards = erasure.room(task.scheme, FRAGMENT_BYTES);
      // What an earlier slab left in it must not get into this one.
      shards.fill(0);
      encryptSlab(task.plain, task.key, shards);
      erasure.encode(task.scheme, FRAGMENT_BYTES);
      return { coded: split(shards, createHash('sha256').update(task.plain).digest('hex')) };
    }
    case 'decode':
      return { bytes: decryptSlab(complete(task.fragments, task.scheme), task.key, task.length) };
    case 'rebuild': {
      const shards = complete(task.fragments, task.scheme);
      erasure.encode(task.scheme, FRAGMENT_BYTES);
      return { coded: split(shards, '') };
    }
    case 'restore': {
      const shards = complete(task.parts, task.scheme);
      const length = shards.length / task.parts.length;
      return { bytes: shards.slice(task.index * length, (task.index + 1) * length) };
    }
    case 'decrypt':
      return { bytes: decryptSlab(task.cipherText, task.key, task.length, task.first) };
    default:
      return task satisfies never;
  }
}

parentPort?.on('message', ({ id, task }: { id: number; task: SlabTask }) => {
  try {
    const result = perform(task);
    const transfer =
      'bytes' in result ? [result.bytes.buffer] : result.coded.fragments.map((fragment) => fragment.buffer);
    parentPort?.postMessage({ id, ...result }, transfer as ArrayBuffer[]);
  } catch (error) {
    const code = error instanceof MarketError ? error.code : 'damaged';
    parentPort?.postMessage({ id, error: { code, message: (error as Error).message } });
  }
});
