import { textOf, utf8 } from '../../../ledger/bytes.ts';
import { decodeCertificate, encodeCertificate } from '../../../ledger/consensus/messages.ts';
import type { Certificate } from '../../../ledger/consensus/votes.ts';
import { LedgerError } from '../../../ledger/errors.ts';
import { type BlockId, parseHashId } from '../../../ledger/ids.ts';

/** The newest final block, and what consensus needs to go on from it. */
export interface FinalRecord {
  readonly id: BlockId;
  readonly height: number;
  readonly epoch: number;
  readonly view: number;
  readonly timestampMs: number;
  /** Its Finalization; absent at genesis, and where only a later block proves it. */
  readonly certificate: Certificate | undefined;
}

/** As it is stored: JSON, the certificate in base64. */
export function encodeFinal(final: FinalRecord): Uint8Array {
  const { certificate } = final;
  return utf8(
    JSON.stringify({
      ...final,
      certificate: certificate && Buffer.from(encodeCertificate(certificate)).toString('base64'),
    }),
  );
}

/** Throws LedgerError `malformed`. */
export function decodeFinal(bytes: Uint8Array): FinalRecord {
  const stored = parse(bytes);
  const number = (name: string): number => {
    const value = stored[name];
    return Number.isSafeInteger(value) ? (value as number) : unreadable();
  };
  const { id, certificate } = stored;
  return {
    id: parseHashId<BlockId>(String(id)),
    height: number('height'),
    epoch: number('epoch'),
    view: number('view'),
    timestampMs: number('timestampMs'),
    certificate:
      certificate === undefined ? undefined : decodeCertificate(Buffer.from(String(certificate), 'base64')),
  };
}

function parse(bytes: Uint8Array): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(textOf(bytes));
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : unreadable();
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return unreadable();
  }
}

function unreadable(): never {
  throw new LedgerError('malformed', 'the record of the newest block cannot be read');
}
