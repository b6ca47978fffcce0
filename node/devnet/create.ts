import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fromHex, toHex } from '../../ledger/bytes.ts';
import { isPublicKey, publicKeyOf } from '../../ledger/crypto/secp256k1.ts';
import { chainIdOf, DEFAULT_PARAMETERS, type Genesis, genesisToJson } from '../../ledger/genesis.ts';
import { GRAINS_PER_ACORN, grains } from '../../ledger/grains.ts';
import { type AccountId, type Hash, keyId } from '../../ledger/ids.ts';
import { NodeError } from '../errors.ts';
import { createKeystore } from '../keys/keystore.ts';
import { writePrivateFile } from '../keys/private-file.ts';
import { IssuerDesk } from '../tpm/issuer-desk.ts';
import { openTpm } from '../tpm/open.ts';
import { OwnerDesk } from '../tpm/owner-desk.ts';

/** A development network in a folder: keys, chips, an issuer, the network file, a configuration for each node. */

export const COMMITTEE_MAX = 4;
/** What a development chip brings its owner. */
const DENOMINATION = grains(10_000n * GRAINS_PER_ACORN);

export interface DevnetPlan {
  readonly folder: string;
  readonly nodes: number;
  readonly periodMs: number;
  /** Console of node N on this plus N, link on `linkPort` plus N. */
  readonly consolePort: number;
  readonly linkPort: number;
}

interface DevnetFile {
  readonly nodes: number;
  readonly consolePort: number;
  readonly linkPort: number;
}

export function nodeFolder(folder: string, n: number): string {
  return join(folder, String(n));
}

/** The largest committee of n = 3f + 1 seats among the nodes, at most four. */
function committeeSize(nodes: number): number {
  return nodes >= COMMITTEE_MAX ? COMMITTEE_MAX : 1;
}

/** The network that is in a folder, if there is one. Throws NodeError `data-damaged`. */
export async function readDevnet(folder: string): Promise<DevnetFile | undefined> {
  const path = join(folder, 'devnet.json');
  if (!existsSync(path)) {
    if (existsSync(folder))
      throw new NodeError(
        'data-damaged',
        `${folder} holds no whole development network: move it away, then start again`,
      );
    return undefined;
  }
  try {
    const file = JSON.parse(await readFile(path, 'utf8')) as DevnetFile;
    if (!Number.isInteger(file.nodes) || file.nodes < 1) throw new Error('expected a number of nodes');
    for (let n = 1; n <= file.nodes; n++) {
      if (!existsSync(join(nodeFolder(folder, n), 'keys.json')))
        throw new Error(`the keys of node ${n} are missing`);
    }
    return file;
  } catch (error) {
    throw new NodeError(
      'data-damaged',
      `the development network in ${folder} is damaged (${(error as Error).message}): move the folder away, then start again`,
    );
  }
}

/** Makes a network; it is there as a whole or not at all. `progress` hears of every step. */
export async function createDevnet(plan: DevnetPlan, progress: (text: string) => void): Promise<void> {
  const making = `${plan.folder}.making`;
  await rm(making, { recursive: true, force: true });
  await mkdir(making, { recursive: true, mode: 0o700 });
  const issuerSecret = freshSecret();
  await writePrivateFile(join(making, 'issuer-key'), `${toHex(issuerSecret)}\n`);
  const numbers = Array.from({ length: plan.nodes }, (_, i) => i + 1);
  progress(`making ${plan.nodes} nodes with software TPMs`);
  const members = await Promise.all(
    numbers.map(async (n) => {
      const folder = nodeFolder(making, n);
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const tpm = await openTpm(`software:${join(folder, 'tpm.json')}`, 'dev');
      const keys = await createKeystore(folder, { protection: { kind: 'tpm', tpm } });
      const { ekId } = await tpm.ek();
      return { n, folder, tpm, keys, ekId };
    }),
  );
  const genesis: Genesis = {
    name: 'development',
    timestampMs: Date.now(),
    kind: 'dev',
    issuers: [keyId<AccountId>(publicKeyOf(issuerSecret))],
    committee: members.slice(0, committeeSize(plan.nodes)).map(({ ekId, keys }) => ({
      seatId: ekId as string as Hash,
      nodeId: keys.nodeId,
      accountId: keys.accountId,
    })),
    parameters: { ...DEFAULT_PARAMETERS, periodMs: plan.periodMs },
  };
  const chainId = chainIdOf(genesis);
  await writeFile(join(making, 'network.json'), `${JSON.stringify(genesisToJson(genesis), undefined, 2)}\n`);
  progress('endorsing their chips with the dev issuer');
  const desk = await IssuerDesk.open({
    folder: join(making, 'issuer'),
    issuerSecret,
    chainId,
    chainKind: 'dev',
    denominationGrains: DENOMINATION,
  });
  const seeds = numbers.map((n) => `"127.0.0.1:${plan.linkPort + n}"`).join(', ');
  for (const { n, folder, tpm, keys } of members) {
    const owner = await OwnerDesk.open({ tpm, keys, chainId, folder });
    await owner.accept(await desk.answer(await owner.request()));
    await tpm.close();
    await writeFile(join(folder, 'blocktree.toml'), configuration(plan, n, seeds));
  }
  const file: DevnetFile = { nodes: plan.nodes, consolePort: plan.consolePort, linkPort: plan.linkPort };
  await writeFile(join(making, 'devnet.json'), `${JSON.stringify(file)}\n`);
  await rename(making, plan.folder);
}

function configuration(plan: DevnetPlan, n: number, seeds: string): string {
  return `# Node ${n} of a development network. Every key can also be a flag (--link-port) or a variable (BLOCKTREE_LINK_PORT).
[network]
file = "../network.json"

[link]
host = "127.0.0.1"
port = ${plan.linkPort + n}
advertise = ["127.0.0.1:${plan.linkPort + n}"]
seeds = [${seeds}]

[console]
port = ${plan.consolePort + n}

[tpm]
device = "software:tpm.json"

[host]
automatic = true

[log]
file = "node.log"
`;
}

function freshSecret(): Uint8Array {
  for (;;) {
    const secret = Uint8Array.from(randomBytes(32));
    try {
      if (isPublicKey(publicKeyOf(secret))) return secret;
    } catch {
      // Zero or beyond the group's order: one in 2^128 draws.
    }
  }
}

/** The dev issuer's key, for endorsing further chips. */
export async function readIssuerKey(folder: string): Promise<Uint8Array> {
  const secret = fromHex((await readFile(join(folder, 'issuer-key'), 'utf8')).trim());
  if (secret?.length !== 32) throw new NodeError('data-damaged', `${join(folder, 'issuer-key')} is no key`);
  return secret;
}
