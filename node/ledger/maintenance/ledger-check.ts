import { LedgerError } from '../../../ledger/errors.ts';

/** A check of a ledger under way: what was seen, and what is wrong. */

const FINDINGS_MAX = 100;

/** One thing that is wrong. */
export interface Finding {
  /** The file, block, row or page. */
  readonly where: string;
  readonly what: string;
}

export type CheckProgress = (part: string, done: number, total: number) => void;

export class LedgerCheck {
  readonly onProgress: CheckProgress;
  readonly counts = { blocks: 0, pruned: 0, abandoned: 0, rows: 0, pages: 0 };
  readonly findings: Finding[] = [];
  /** Findings beyond those that are listed. */
  more = 0;

  constructor(onProgress: CheckProgress) {
    this.onProgress = onProgress;
  }

  add(where: string, what: string): void {
    if (this.findings.length < FINDINGS_MAX) this.findings.push({ where, what });
    else this.more++;
  }

  /** What `read` gives; where it throws a LedgerError, that is a finding and nothing is given. */
  read<T>(where: string, read: () => T, what = (reason: string): string => reason): T | undefined {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof LedgerError)) throw error;
      this.add(where, what(error.message));
      return undefined;
    }
  }
}
