import type { X509Certificate } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import PQueue from 'p-queue';
import type { Grains } from '../../ledger/grains.ts';
import type { ChainId } from '../../ledger/ids.ts';
import { readCertificate } from './certificate.ts';
import { formatAnswer, parseRequest } from './issuance-files.ts';
import { endorse } from './issuer.ts';
import { IssuerError } from './issuer-error.ts';
import { type IssuerLog, openIssuerLog } from './issuer-log.ts';

/** Requests beyond this wait their turn elsewhere: an endorsement is a matter of milliseconds. */
const WAITING_MAX = 32;
const CERTIFICATE_FILE = /\.(pem|crt|cer|der)$/i;

/** What an issuer keeps in its folder: `roots/` with pinned certificates, and the log. */
interface IssuerDeskOptions {
  readonly folder: string;
  readonly issuerSecret: Uint8Array;
  readonly chainId: ChainId;
  readonly chainKind: 'public' | 'dev';
  readonly denominationGrains: Grains;
}

/**
 * The issuer at work, for `blocktree tpm endorse` and for `POST /issuer/requests` alike: takes the text of a request,
 * gives the text of the answer, one at a time, so that the log always knows all earlier ones.
 */
export class IssuerDesk {
  readonly #options: IssuerDeskOptions;
  readonly #pinned: readonly X509Certificate[];
  readonly #log: IssuerLog;
  readonly #queue = new PQueue({ concurrency: 1 });

  private constructor(options: IssuerDeskOptions, pinned: readonly X509Certificate[], log: IssuerLog) {
    this.#options = options;
    this.#pinned = pinned;
    this.#log = log;
  }

  /** Throws IssuerError `certificate-malformed` for a pinned file that cannot be read, or `log-damaged`. */
  static async open(options: IssuerDeskOptions): Promise<IssuerDesk> {
    const pinned = await readPinned(join(options.folder, 'roots'));
    return new IssuerDesk(options, pinned, await openIssuerLog(join(options.folder, 'endorsements.jsonl')));
  }

  /** Throws IssuerError, or LedgerError `ak-*`. */
  async answer(requestText: string): Promise<string> {
    const request = parseRequest(requestText);
    if (this.#queue.size >= WAITING_MAX)
      throw new IssuerError('overloaded', 'too many requests wait; try again in a moment');
    const { issuerSecret, chainId, chainKind, denominationGrains } = this.#options;
    const policy = { chainId, chainKind, denominationGrains, pinned: this.#pinned };
    return this.#queue.add(async () =>
      formatAnswer(await endorse(request, issuerSecret, policy, this.#log, Date.now())),
    );
  }
}

/** The certificates (PEM or DER, one a file) of a folder; none where it is missing. */
async function readPinned(folder: string): Promise<readonly X509Certificate[]> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  const files = names.filter((name) => CERTIFICATE_FILE.test(name)).sort();
  return Promise.all(
    files.map(async (name) => {
      try {
        return readCertificate(await readFile(join(folder, name)));
      } catch (error) {
        if (!(error instanceof IssuerError)) throw error;
        throw new IssuerError(error.code, `${join(folder, name)} is no certificate`);
      }
    }),
  );
}
