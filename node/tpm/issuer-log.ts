import { mkdir, open } from 'node:fs/promises';
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
  denominationOf(ekId: EkId): Promise<Grains | undefined>;
  /** Resolves when the entry is on disk. */
  append(entry: LoggedEndorsement): Promise<void>;
}

interface Line {
  readonly ekId: EkId;
  readonly denominationGrains: string;
}

/**
 * The log in a file of mode 0600, a JSON object a line, flushed before an endorsement leaves. What another process has
 * added meanwhile (`tpm endorse` beside a node that endorses) is read before each look. A last line cut short by a crash
 * is dropped: its endorsement never left. Throws IssuerError `log-damaged` for any other line that is not one.
 */
export async function openIssuerLog(path: string): Promise<IssuerLog> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const log = new FileLog(path);
  await log.open();
  return log;
}

class FileLog implements IssuerLog {
  readonly #path: string;
  readonly #known = new Map<EkId, Grains>();
  #lines = 0;
  /** Bytes of the file that were read: whole lines. */
  #readBytes = 0;

  constructor(path: string) {
    this.#path = path;
  }

  async open(): Promise<void> {
    const leftBytes = await this.#catchUp();
    if (leftBytes > 0) await truncateTo(this.#path, this.#readBytes);
  }

  async denominationOf(ekId: EkId): Promise<Grains | undefined> {
    await this.#catchUp();
    return this.#known.get(ekId);
  }

  async append(entry: LoggedEndorsement): Promise<void> {
    const line = {
      at: new Date(entry.atMs).toISOString(),
      ekId: entry.ekId,
      denominationGrains: entry.denominationGrains.toString(),
      akName: toHex(entry.akName),
      vouchedBy: entry.vouchedBy,
    };
    this.#known.set(entry.ekId, entry.denominationGrains);
    const file = await open(this.#path, 'a', 0o600);
    try {
      await file.appendFile(`${JSON.stringify(line)}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
  }

  /** Reads what was added since; gives the bytes of a last line without an end. */
  async #catchUp(): Promise<number> {
    const file = await open(this.#path, 'r').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
    if (file === undefined) return 0;
    let added: Buffer;
    try {
      const { size } = await file.stat();
      if (size <= this.#readBytes) return 0;
      const { buffer, bytesRead } = await file.read(
        Buffer.alloc(size - this.#readBytes),
        0,
        size - this.#readBytes,
        this.#readBytes,
      );
      added = buffer.subarray(0, bytesRead);
    } finally {
      await file.close();
    }
    const wholeBytes = added.lastIndexOf(0x0a) + 1;
    for (const line of added.toString('utf8', 0, wholeBytes).split('\n').slice(0, -1)) {
      this.#lines++;
      if (line !== '') this.#take(line);
    }
    this.#readBytes += wholeBytes;
    return added.length - wholeBytes;
  }

  #take(line: string): void {
    try {
      const { ekId, denominationGrains } = JSON.parse(line) as Line;
      if (!/^[0-9a-f]{64}$/.test(ekId)) throw new Error('not an id');
      this.#known.set(ekId, grains(BigInt(denominationGrains)));
    } catch {
      throw new IssuerError('log-damaged', `line ${this.#lines} of ${this.#path} cannot be read`);
    }
  }
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
    denominationOf: async (ekId) => known.get(ekId),
    async append({ ekId, denominationGrains }) {
      known.set(ekId, denominationGrains);
    },
  };
}
