import * as P from 'micro-packed';
import { fromHex, toHex, utf8 } from './bytes.ts';
import { isPublicKey } from './crypto/secp256k1.ts';
import { LedgerError } from './errors.ts';
import type { Grains } from './grains.ts';
import type { AccountId, BlockId, ChainId, ContractId, EkId, Hash, NodeId, TransactionId } from './ids.ts';
import { RecentKeys } from './recent-keys.ts';

/**
 * The building blocks of every format: big-endian, fixed width unless said, strict. Decoding accepts exactly the bytes
 * that encoding produces: unknown tags, trailing bytes and non-canonical forms are errors.
 */
export type Codec<T> = P.CoderType<T>;

const SAFE_MAX = BigInt(Number.MAX_SAFE_INTEGER);

/** u64 on the wire, a safe integer in code. */
export const safeU64: Codec<number> = P.apply(P.U64BE, {
  encode(value: bigint): number {
    if (value > SAFE_MAX) throw new Error('integer beyond 2^53');
    return Number(value);
  },
  decode(value: number): bigint {
    if (!Number.isSafeInteger(value) || value < 0)
      throw new Error('expected a whole number from 0 to 2^53 - 1');
    return BigInt(value);
  },
});

/** u64 amount. */
export const grainsCodec = P.U64BE as unknown as Codec<Grains>;

/** Between `least` and `most` bytes, u16 length in front. */
export function boundedBytes(least: number, most: number): Codec<Uint8Array> {
  return P.validate(P.bytes(P.U16BE), (value: Uint8Array) => {
    if (value.length < least || value.length > most) throw new Error(`expected ${least} to ${most} bytes`);
    return value;
  });
}

/** At most `most` elements, u16 count in front. */
export function boundedList<T>(most: number, element: Codec<T>): Codec<T[]> {
  return P.validate(P.array(P.U16BE, element), (value: T[]) => {
    if (value.length > most) throw new Error(`expected at most ${most} elements`);
    return value;
  });
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** UTF-8 text of at most `most` bytes, u16 length in front; bytes that are not well-formed UTF-8 are refused. */
export function boundedText(most: number): Codec<string> {
  return P.apply(boundedBytes(0, most), {
    encode: (bytes: Uint8Array) => strictUtf8.decode(bytes),
    decode: utf8,
  });
}

function hexCodec<Id extends string>(length: number): Codec<Id> {
  return P.apply(P.bytes(length), {
    encode: (bytes: Uint8Array) => toHex(bytes) as Id,
    decode(id: Id): Uint8Array {
      const bytes = fromHex(id);
      if (bytes?.length !== length) throw new Error(`expected ${2 * length} hex digits`);
      return bytes;
    },
  });
}

export const hashCodec: Codec<Hash> = hexCodec(32);
export const blockIdCodec: Codec<BlockId> = hexCodec(32);
export const transactionIdCodec: Codec<TransactionId> = hexCodec(32);
export const contractIdCodec: Codec<ContractId> = hexCodec(32);
export const ekIdCodec: Codec<EkId> = hexCodec(32);
export const chainIdCodec: Codec<ChainId> = hexCodec(32);

/** A 33-byte compressed key whose form is right (02/03 prefix). Use `onCurve` where a stranger chose it. */
function keyCodec<Id extends AccountId | NodeId>(): Codec<Id> {
  return P.validate(hexCodec<Id>(33), (id: Id) => {
    if (!id.startsWith('02') && !id.startsWith('03')) throw new Error('expected a compressed key');
    return id;
  });
}
export const accountIdCodec: Codec<AccountId> = keyCodec<AccountId>();
export const nodeIdCodec: Codec<NodeId> = keyCodec<NodeId>();

const CURVE_KEYS_MAX = 16_384;
/** Keys that were found on the curve: the same few receive most of what is sent. */
const curveKeys = new RecentKeys(CURVE_KEYS_MAX);

/** A key that must also be a point on the curve: money sent to anything else would be lost. */
export function onCurve<Id extends AccountId | NodeId>(codec: Codec<Id>): Codec<Id> {
  return P.validate(codec, (id: Id) => {
    if (curveKeys.has(id)) return id;
    if (!isPublicKey(fromHex(id) as Uint8Array)) throw new Error('the key is not a point on the curve');
    curveKeys.add(id);
    return id;
  });
}

/** 64 bytes, checked by whoever verifies. */
export const signatureCodec: Codec<Uint8Array> = P.bytes(64);

/** The encoded bytes. Throws LedgerError `malformed` when the value does not fit the format. */
export function encode<T>(codec: Codec<T>, value: T, what: string): Uint8Array {
  try {
    return codec.encode(value);
  } catch (error) {
    throw new LedgerError('malformed', `cannot encode ${what}: ${(error as Error).message}`);
  }
}

/** The decoded value. Throws LedgerError `malformed` for anything but exactly one canonical encoding. */
export function decode<T>(codec: Codec<T>, bytes: Uint8Array, what: string): T {
  try {
    return codec.decode(bytes);
  } catch (error) {
    if (error instanceof LedgerError) throw error;
    throw new LedgerError('malformed', `expected ${what}: ${(error as Error).message}`);
  }
}

type Union<Fields> = { [Name in keyof Fields]: { readonly kind: Name } & Fields[Name] }[keyof Fields];

/** A u8 tag and the fields of that kind; in code a union discriminated by `kind`. */
export function tagged<Fields extends Record<string, object>>(
  kinds: {
    [Name in keyof Fields]: readonly [tag: number, codec: Codec<Fields[Name]>];
  },
): Codec<Union<Fields>> {
  const byTag = P.mappedTag(
    P.U8,
    kinds as unknown as Record<string, [number, Codec<object>]>,
  ) as unknown as Codec<{
    TAG: string;
    data: object;
  }>;
  return P.apply(byTag, {
    encode: ({ TAG, data }: { TAG: string; data: object }) => ({ kind: TAG, ...data }) as Union<Fields>,
    decode(value: Union<Fields>) {
      const { kind, ...data } = value as { kind: string };
      return { TAG: kind, data };
    },
  });
}

/** One byte that says whether the value follows. */
export function optional<T>(inner: Codec<T>): Codec<T | undefined> {
  return P.optional(P.bool, inner) as Codec<T | undefined>;
}
