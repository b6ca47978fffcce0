import { randomBytes, type X509Certificate } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import PQueue from 'p-queue';
import { fromHex, toHex } from '../../ledger/bytes.ts';
import { isPublicKey, publicKeyOf } from '../../ledger/crypto/secp256k1.ts';
import { chainIdOf, type Genesis } from '../../ledger/genesis.ts';
import type { Grains } from '../../ledger/grains.ts';
import { type AccountId, type ChainId, keyId } from '../../ledger/ids.ts';
import { writePrivateFile } from '../keys/private-file.ts';
import { firstKey } from '../keys/seed.ts';
import { readCertificate } from './certificate.ts';
import {
  type EndorsementAnswer,
  type EndorsementRequest,
  formatAnswer,
  parseRequest,
} from './issuance-files.ts';
import { endorse } from './issuer.ts';
import { IssuerError } from './issuer-error.ts';
import { type IssuerLog, openIssuerLog } from './issuer-log.ts';

/** Requests beyond this wait their turn elsewhere: an endorsement is a matter of milliseconds. */
const WAITING_MAX = 32;
const CERTIFICATE_FILE = /\.(pem|crt|cer|der)$/i;

/** Where an issuer keeps its key: hex, one line. */
const KEY_FILE = 'issuer-key';

interface IssuerDeskOptions {
  /** Holds `roots/` with pinned certificates, and the log. */
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

  /** The text of a request in, the text of the answer out. Throws IssuerError, or LedgerError `ak-*`. */
  async answer(requestText: string): Promise<string> {
    return formatAnswer(await this.endorse(parseRequest(requestText)));
  }

  /** Throws IssuerError, or LedgerError `ak-*`. */
  async endorse(request: EndorsementRequest): Promise<EndorsementAnswer> {
    if (this.#queue.size >= WAITING_MAX)
      throw new IssuerError('overloaded', 'too many requests wait; try again in a moment');
    const { issuerSecret, chainId, chainKind, denominationGrains } = this.#options;
    const policy = { chainId, chainKind, denominationGrains, pinned: this.#pinned };
    return this.#queue.add(() => endorse(request, issuerSecret, policy, this.#log, Date.now()));
  }
}

/**
 * The desk of an issuer's folder: its key (`issuer-key`), and `issuer/` with pinned certificates and log. Throws
 * IssuerError `issuer-key` for a key that is missing, damaged, or not one that the network file names; and like
 * `IssuerDesk.open`.
 */
export async function openIssuer(
  folder: string,
  genesis: Genesis,
  denominationGrains: Grains,
): Promise<IssuerDesk> {
  const issuerSecret = await readIssuerKey(join(folder, KEY_FILE));
  if (!genesis.issuers.includes(keyId<AccountId>(publicKeyOf(issuerSecret))))
    throw new IssuerError('issuer-key', `the network file does not name the key in ${folder} as an issuer`);
  return IssuerDesk.open({
    folder: join(folder, 'issuer'),
    issuerSecret,
    chainId: chainIdOf(genesis),
    chainKind: genesis.kind,
    denominationGrains,
  });
}

/**
 * The account that stands for an issuer in a network file: of the key in `folder`, which is made (mode 0600) when there is
 * none. Throws IssuerError `issuer-key` for a key that is damaged.
 */
export async function issuerAccount(folder: string): Promise<AccountId> {
  const path = join(folder, KEY_FILE);
  if (!existsSync(path)) {
    const secret = firstKey(() => Uint8Array.from(randomBytes(32)));
    await writePrivateFile(path, `${toHex(secret)}\n`);
  }
  return keyId<AccountId>(publicKeyOf(await readIssuerKey(path)));
}

async function readIssuerKey(path: string): Promise<Uint8Array> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new IssuerError('issuer-key', `the issuer's key ${path} cannot be read (${error.code})`);
  });
  const secret = fromHex(text.trim());
  try {
    if (secret !== undefined && isPublicKey(publicKeyOf(secret))) return secret;
  } catch {}
  throw new IssuerError('issuer-key', `${path} holds no key`);
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
