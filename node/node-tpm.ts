import { resolve } from 'node:path';
import type { Genesis } from '../ledger/genesis.ts';
import { type Grains, parseAcorns } from '../ledger/grains.ts';
import type { EkId } from '../ledger/ids.ts';
import { parseEndorsement } from '../ledger/tpm/endorsement.ts';
import type { Settings } from './config/settings.ts';
import { NodeError } from './errors.ts';
import type { Protection } from './keys/protection.ts';
import type { Chain } from './ledger/chain/chain.ts';
import { type IssuerDesk, openIssuer } from './tpm/issuer-desk.ts';
import { openTpm } from './tpm/open.ts';
import type { Tpm } from './tpm/tpm.ts';

/** What a node has to do with chips: its own, whom it endorses, whom it admits. */

/**
 * Opens the TPM of a data folder; `undefined` where it goes without (`tpm.device = "none"`). `software:FILE` and
 * `unix:PATH` are relative to the folder. Throws TpmError.
 */
export async function openNodeTpm(
  dataFolder: string,
  settings: Settings,
  { kind: chainKind }: Pick<Genesis, 'kind'>,
): Promise<Tpm | undefined> {
  const device = settings['tpm.device'];
  if (device === 'none') return undefined;
  const [, kind, path] = /^(software|unix):(.+)$/.exec(device) ?? [];
  return openTpm(path === undefined ? device : `${kind}:${resolve(dataFolder, path)}`, chainKind);
}

/** The issuer's desk that the settings ask for. Throws NodeError `bad-configuration`, IssuerError. */
export async function issuerOf(
  dataFolder: string,
  settings: Settings,
  genesis: Genesis,
): Promise<IssuerDesk | undefined> {
  const folder = settings['issuer.folder'];
  if (folder === '') return undefined;
  let denomination: Grains;
  try {
    denomination = parseAcorns(settings['issuer.denomination']);
  } catch (error) {
    throw new NodeError('bad-configuration', `issuer.denomination: ${(error as Error).message}`);
  }
  return openIssuer(resolve(dataFolder, folder), genesis, denomination);
}

/** What guards the keys of a node: its TPM, or where it has none a passphrase. Throws NodeError `no-passphrase`. */
export function protectionBy(tpm: Tpm | undefined, passphrase: string | undefined): Protection {
  if (tpm !== undefined) return { kind: 'tpm', tpm };
  if (passphrase === undefined)
    throw new NodeError('no-passphrase', 'without a TPM a passphrase guards the keys, and none was given');
  return { kind: 'passphrase', passphrase };
}

/** The TPM, or what comes of it, where there is one. Throws NodeError `no-tpm`. */
export function present<T>(chip: T | undefined): T {
  if (chip !== undefined) return chip;
  throw new NodeError(
    'no-tpm',
    'this node goes without a TPM (tpm.device is "none"): it reads the ledger and cannot claim; set tpm.device to take part',
  );
}

/** Throws NodeError `bad-configuration`. */
export function admissionMode(settings: Settings): 'claimed' | 'quote' {
  const mode = settings['link.admission'];
  if (mode === 'claimed' || mode === 'quote') return mode;
  throw new NodeError('bad-configuration', `expected "claimed" or "quote" for link.admission, got "${mode}"`);
}

/** The endorsement in the claim of a chip; `undefined` where the body of that block was pruned. */
export function claimedEndorsement(chain: Chain, ekId: EkId, height: number): Uint8Array | undefined {
  const id = chain.store.idAt(height);
  const block = id === undefined ? undefined : chain.store.block(id);
  for (const { body } of block?.transactions ?? []) {
    if (body.kind === 'claim' && parseEndorsement(body.endorsement).ekId === ekId) return body.endorsement;
  }
  return undefined;
}
