import { mkdir, open, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { toHex } from '../../ledger/bytes.ts';
import { type Grains, grains } from '../../ledger/grains.ts';
import type { EkId } from '../../ledger/ids.ts';
import { IssuerError } from './issuer-error.ts';

/** What an issuer endorsed. */
interface LoggedEndorsement {
  readonly ekId: EkId;
  readonly denominationGrains: Grains;
  readonly akName: Uint8Array;
  /** Subject of the certificate that vouched; `software` where none was asked for. */
  readonly vouchedBy: string;
  readonly atMs: number;
}

/** An issuer's memory: one chip, one denomination, for ever. */
export interface IssuerLog {
  /** The denomination that a chip was endorsed with, if it was. */
  denominationOf(ekId: EkId): Grains | undefined;
  /** Resolves when the entry is on disk. */
  append(entry: LoggedEndorsement): Promise<void>;
}

interface Line {
  readonly ekId: EkId;
  readonly denominationGrains: string;
}

/**
 * The log in a file of mode 0600, a JSON object a line, flushed before an endorsement leaves. A last line cut short by
 * a crash is dropped: its endorsement never left. Throws IssuerError `log-damaged` for any other line that is not one.
 */
export async function openIssuerLog(path: string): Promise<IssuerLog> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
  const whole = text.slice(0, text.lastIndexOf('\n') + 1);
  const known = new Map<EkId, Grains>();
  for (const [index, line] of whole.split('\n').entries()) {
    if (line === '') continue;
    try {
      const { ekId, denominationGrains } = JSON.parse(line) as Line;
      if (!/^[0-9a-f]{64}$/.test(ekId)) throw new Error('not an id');
      known.set(ekId, grains(BigInt(denominationGrains)));
    } catch {
      throw new IssuerError('log-damaged', `line ${index + 1} of ${path} cannot be read`);
    }
  }
  if (whole.length < text.length) await truncateTo(path, Buffer.byteLength(whole));
  return {
    denominationOf: (ekId) => known.get(ekId),
    async append(entry) {
      const line = {
        at: new Date(entry.atMs).toISOString(),
        ekId: entry.ekId,
        denominationGrains: entry.denominationGrains.toString(),
        akName: toHex(entry.akName),
        vouchedBy: entry.vouchedBy,
      };
      known.set(entry.ekId, entry.denominationGrains);
      const file = await open(path, 'a', 0o600);
      try {
        await file.appendFile(`${JSON.stringify(line)}\n`);
        await file.sync();
      } finally {
        await file.close();
      }
    },
  };
}

async function truncateTo(path: string, length: number): Promise<void> {
  const file = await open(path, 'r+');
  try {
    await file.truncate(length);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** A log that forgets at exit: for development networks whose issuer lives in the same process as its chips. */
export function memoryIssuerLog(): IssuerLog {
  const known = new Map<EkId, Grains>();
  return {
    denominationOf: (ekId) => known.get(ekId),
    async append({ ekId, denominationGrains }) {
      known.set(ekId, denominationGrains);
    },
  };
}
