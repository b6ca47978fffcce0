import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fromHex, toHex } from '../../ledger/bytes.ts';
import { LedgerError } from '../../ledger/errors.ts';
import type { ChainId, EkId } from '../../ledger/ids.ts';
import { type Endorsement, parseEndorsement } from '../../ledger/tpm/endorsement.ts';
import type { BodyOf } from '../../ledger/transaction.ts';
import type { Keys } from '../keys/keystore.ts';
import { writePrivateFile } from '../keys/private-file.ts';
import { readCertificate } from './certificate.ts';
import { makeClaim, makeRebind } from './claim-body.ts';
import { formatRequest, parseAnswer } from './issuance-files.ts';
import { createRequest, openAnswer } from './issuer.ts';
import { askIssuer } from './issuer-client.ts';
import { IssuerError } from './issuer-error.ts';
import type { Tpm } from './tpm.ts';

/** Where a node keeps the endorsement of its chip: hex, one line. */
const ENDORSEMENT_FILE = 'endorsement.hex';

/** What a chip says of itself, and how far its owner got with it. */
export interface ChipReport {
  readonly kind: Tpm['kind'];
  readonly manufacturer: string;
  /** Four numbers as manufacturers print them. */
  readonly firmware: string;
  readonly ekId: EkId;
  /** Who certified the chip; absent where it carries no certificate. */
  readonly certificate?: { readonly issuer: string; readonly validTo: string };
  /** Absent until an issuer's answer was accepted. */
  readonly endorsement?: Endorsement;
}

interface OwnerDeskOptions {
  readonly tpm: Tpm;
  readonly keys: Pick<Keys, 'accountId' | 'nodeId' | 'nodeSecret'>;
  readonly chainId: ChainId;
  /** The node's data folder. */
  readonly folder: string;
}

/**
 * The owner's way from a bare chip to a claim, a step a verb: report (`tpm info`), request, accept the issuer's answer,
 * claim or rebind. The endorsement stays in the data folder: rebinding and admission need it again.
 */
export class OwnerDesk {
  readonly #options: OwnerDeskOptions;
  #endorsement: Uint8Array | undefined;

  private constructor(options: OwnerDeskOptions, endorsement: Uint8Array | undefined) {
    this.#options = options;
    this.#endorsement = endorsement;
  }

  /** Throws IssuerError `bad-file` for a damaged endorsement file. */
  static async open(options: OwnerDeskOptions): Promise<OwnerDesk> {
    return new OwnerDesk(options, await readEndorsement(options.folder));
  }

  /** The endorsement of this chip (260 bytes), once there is one. */
  get endorsement(): Uint8Array | undefined {
    return this.#endorsement;
  }

  /** Throws TpmError. */
  async report(): Promise<ChipReport> {
    const { tpm } = this.#options;
    const { manufacturer, firmware } = await tpm.info();
    const { ekId, certificate } = await tpm.ek();
    return {
      kind: tpm.kind,
      manufacturer,
      firmware: dotted(firmware),
      ekId,
      ...(certificate === undefined ? {} : { certificate: describe(certificate) }),
      ...(this.#endorsement === undefined ? {} : { endorsement: parseEndorsement(this.#endorsement) }),
    };
  }

  /**
   * The text of a request for the issuer. `certificates` (PEM or DER) are those that lead to a root, and the chip's own
   * first where it carries none. Throws TpmError, or IssuerError `certificate-malformed`.
   */
  async request(certificates: readonly Uint8Array[] = []): Promise<string> {
    const { tpm, chainId } = this.#options;
    const extra = certificates.map((bytes) => Uint8Array.from(readCertificate(bytes).raw));
    return formatRequest(await createRequest(tpm, chainId, extra));
  }

  /** Request and answer in one go, with an issuer's node. Throws IssuerError, TpmError. */
  async requestFrom(issuer: string, certificates: readonly Uint8Array[] = []): Promise<Endorsement> {
    return this.accept(await askIssuer(issuer, await this.request(certificates)));
  }

  /** Opens the issuer's answer with the chip and keeps the endorsement. Throws IssuerError, TpmError. */
  async accept(answerText: string): Promise<Endorsement> {
    const { tpm, chainId } = this.#options;
    const answer = parseAnswer(answerText);
    if (answer.chainId !== chainId)
      throw new IssuerError('wrong-chain', 'the endorsement is for another chain');
    return this.keep(await openAnswer(tpm, answer));
  }

  /** Keeps an endorsement of this chip that was found elsewhere, such as in its claim. Throws LedgerError `endorsement-*`. */
  async keep(endorsement: Uint8Array): Promise<Endorsement> {
    const parsed = parseEndorsement(endorsement);
    await writePrivateFile(join(this.#options.folder, ENDORSEMENT_FILE), `${toHex(endorsement)}\n`);
    this.#endorsement = endorsement;
    return parsed;
  }

  /** The claim for the wallet to send. Throws IssuerError `not-endorsed`, TpmError. */
  claim(): Promise<BodyOf<'claim'>> {
    const { tpm, keys, chainId } = this.#options;
    return makeClaim(tpm, keys, chainId, this.#endorsed());
  }

  /** The rebind for the wallet to send. Throws IssuerError `not-endorsed`, TpmError. */
  rebind(): Promise<BodyOf<'rebind'>> {
    const { tpm, keys, chainId } = this.#options;
    return makeRebind(tpm, keys, chainId, this.#endorsed());
  }

  #endorsed(): Uint8Array {
    if (this.#endorsement === undefined)
      throw new IssuerError('not-endorsed', 'this chip has no endorsement yet: send an issuer its request');
    return this.#endorsement;
  }
}

async function readEndorsement(folder: string): Promise<Uint8Array | undefined> {
  const path = join(folder, ENDORSEMENT_FILE);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  const bytes = fromHex(text.trim()) ?? new Uint8Array(0);
  try {
    parseEndorsement(bytes);
    return bytes;
  } catch (error) {
    if (!(error instanceof LedgerError)) throw error;
    throw new IssuerError('bad-file', `${path} is damaged: remove it and ask the issuer again`);
  }
}

function describe(certificate: Uint8Array): { issuer: string; validTo: string } {
  const { issuer, validTo } = readCertificate(certificate);
  return { issuer: issuer.replaceAll('\n', ', '), validTo };
}

function dotted(firmware: bigint): string {
  return [48n, 32n, 16n, 0n].map((shift) => (firmware >> shift) & 0xffffn).join('.');
}
