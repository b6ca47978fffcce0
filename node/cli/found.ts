import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { chainIdOf, genesisToJson } from '../../ledger/genesis.ts';
import { NodeError } from '../errors.ts';
import { foundNetwork, parseFounder } from '../founding.ts';
import { issuerAccount } from '../tpm/issuer-desk.ts';
import { wholeNumber } from './arguments.ts';
import { fields } from './output.ts';

/** init --found: from the files of the founders to the network file. */

const DAY_MS = 86_400_000;

export interface FoundOptions {
  readonly found: string;
  readonly founders: readonly string[];
  readonly name: string;
  readonly issuer: string;
  readonly period: string;
  readonly epoch: string;
  readonly dev: boolean;
}

/**
 * Writes the network file `target`. Throws NodeError `exists`, `not-found`, `bad-configuration`, IssuerError
 * `issuer-key`.
 */
export async function found(
  target: string,
  { founders: files, name, issuer, period, epoch, dev }: Partial<FoundOptions>,
): Promise<readonly [object, string]> {
  if (files === undefined || name === undefined || issuer === undefined)
    throw new NodeError('bad-configuration', 'expected --founders FILE…, --name NAME and --issuer FOLDER');
  if (existsSync(target)) throw new NodeError('exists', `${target} exists already; it is never overwritten`);
  const founders = await Promise.all(
    files.map(async (path) =>
      parseFounder(
        await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
          throw new NodeError('not-found', `the founder's file ${path} cannot be read (${error.code})`);
        }),
        path,
      ),
    ),
  );
  const plan = {
    name,
    kind: dev === true ? 'dev' : 'public',
    founders,
    issuers: [],
    parameters: {
      ...(period === undefined ? {} : { periodMs: wholeNumber(period, '--period', 1_000, 31 * DAY_MS) }),
      ...(epoch === undefined ? {} : { epochMs: wholeNumber(epoch, '--epoch', 1_000, 31 * DAY_MS) }),
    },
    timestampMs: Date.now(),
  } as const;
  // Refused before a key is made.
  foundNetwork(plan);
  const genesis = foundNetwork({ ...plan, issuers: [await issuerAccount(issuer)] });
  await writeFile(target, `${JSON.stringify(genesisToJson(genesis), undefined, 2)}\n`, { flag: 'wx' });
  const chainId = chainIdOf(genesis);
  const seeds = founders.flatMap(({ addresses }) => addresses);
  const next = [
    `Next: every founder takes ${target} ("blocktree init --network"), compares the chain with the others, and starts`,
    seeds.length === 0
      ? 'with the addresses of the others as --link-seeds.'
      : `with --link-seeds ${seeds.join(',')}.`,
    `Chips are endorsed with "blocktree tpm endorse --issuer ${issuer}", or by a node with issuer.folder set to it; keep that folder offline otherwise.`,
  ].join('\n');
  return [
    { file: target, chainId, name, kind: genesis.kind, committee: founders.length, seeds },
    `${fields([
      ['network', `${name} (${genesis.kind})`],
      ['chain', chainId],
      ['committee', `${founders.length} ${founders.length === 1 ? 'seat' : 'seats'}`],
      ['issuer', issuer],
    ])}\n\n${next}`,
  ];
}
