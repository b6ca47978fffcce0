import * as P from 'micro-packed';
import { boundedList, type Codec, decode, encode, hashCodec, optional } from '../../../ledger/codec.ts';
import type { KeyRange } from '../../../ledger/commitment/range-proof.ts';
import { LedgerError } from '../../../ledger/errors.ts';
import { type CertifiedHeader, certifiedCodec } from './finality.ts';
import type { Batch, Database } from './ledger-database.ts';

/**
 * How far the fetching of a state has come: written with the rows that it speaks of, so that whoever was stopped goes on
 * from there.
 */
export interface StagedProgress {
  readonly target: CertifiedHeader;
  /** What is still missing of the state, by key. */
  readonly missing: readonly KeyRange[];
}

/** Ranges that a state may be fetched in side by side. */
export const RANGES_MAX = 256;
const PROGRESS_KEY = 'm/staged';

const progressCodec = P.struct({
  target: certifiedCodec,
  missing: boundedList(RANGES_MAX, P.struct({ from: hashCodec, to: optional(hashCodec) })),
}) as unknown as Codec<StagedProgress>;

/** What there is to go on from, if anything. */
export function readProgress(db: Database): StagedProgress | undefined {
  const bytes = db.getSync(PROGRESS_KEY);
  try {
    return bytes && decode(progressCodec, bytes, 'the progress of a snapshot');
  } catch (error) {
    // Of another version: the state is fetched anew.
    if (error instanceof LedgerError) return undefined;
    throw error;
  }
}

export function putProgress(batch: Batch, progress: StagedProgress): void {
  batch.put(PROGRESS_KEY, encode(progressCodec, progress, 'the progress of a snapshot'));
}

export function dropProgress(batch: Batch): void {
  batch.del(PROGRESS_KEY);
}
