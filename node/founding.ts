import { checkGenesis, DEFAULT_PARAMETERS, type Genesis, type Parameters } from '../ledger/genesis.ts';
import {
  type AccountId,
  accountAddress,
  type EkId,
  type Hash,
  type NodeId,
  nodeAddress,
  parseAccountAddress,
  parseHashId,
  parseNodeAddress,
} from '../ledger/ids.ts';
import { NodeError } from './errors.ts';

/**
 * How a network begins: those who keep its first committee make their keys, each gives a small public file to one of
 * them, and that one writes the network file, which they compare by the chain's id and start from.
 */

const FORMAT = 'blocktree founder 1';
const ADDRESSES_MAX = 8;
const NAME_BYTES_MAX = 64;

/** One seat of the first committee. Nothing of it is secret. */
export interface Founder {
  readonly nodeId: NodeId;
  readonly accountId: AccountId;
  readonly ekId: EkId;
  /** A software TPM counts on development networks only. */
  readonly tpm: 'tpm2' | 'software';
  /** host:port where the others reach it. */
  readonly addresses: readonly string[];
}

/** The text of a founder's file. */
export function formatFounder({ nodeId, accountId, ekId, tpm, addresses }: Founder): string {
  const file = {
    format: FORMAT,
    nodeId: nodeAddress(nodeId),
    accountId: accountAddress(accountId),
    ekId,
    tpm,
    addresses,
  };
  return `${JSON.stringify(file, undefined, 2)}\n`;
}

/** Reads the text of a founder's file; `source` is named in errors. Throws NodeError `bad-configuration`. */
export function parseFounder(text: string, source: string): Founder {
  try {
    const file = JSON.parse(text) as Record<string, unknown>;
    if (file.format !== FORMAT) throw new Error(`expected the format "${FORMAT}"`);
    const { tpm, addresses } = file;
    if (tpm !== 'tpm2' && tpm !== 'software') throw new Error('expected "tpm2" or "software" for tpm');
    if (
      !Array.isArray(addresses) ||
      addresses.length > ADDRESSES_MAX ||
      !addresses.every((address) => typeof address === 'string' && /^[^\s,]{1,255}:\d{1,5}$/.test(address))
    )
      throw new Error(`expected at most ${ADDRESSES_MAX} addresses such as node.example:7000`);
    return {
      nodeId: parseNodeAddress(String(file.nodeId)),
      accountId: parseAccountAddress(String(file.accountId)),
      ekId: parseHashId<EkId>(String(file.ekId)),
      tpm,
      addresses: addresses as string[],
    };
  } catch (error) {
    throw new NodeError(
      'bad-configuration',
      `${source} is not what "blocktree init --founder" writes: ${(error as Error).message}`,
    );
  }
}

export interface FoundingPlan {
  readonly name: string;
  readonly kind: Genesis['kind'];
  readonly founders: readonly Founder[];
  readonly issuers: readonly AccountId[];
  readonly parameters: Partial<Pick<Parameters, 'periodMs' | 'epochMs'>>;
  readonly timestampMs: number;
}

/** The genesis of a new network. Throws NodeError `bad-configuration`, LedgerError `malformed`. */
export function foundNetwork(plan: FoundingPlan): Genesis {
  const { name, kind, founders, issuers, timestampMs } = plan;
  const refuse = (why: string): never => {
    throw new NodeError('bad-configuration', why);
  };
  if (name.trim() === '' || Buffer.byteLength(name) > NAME_BYTES_MAX)
    refuse(`expected a name of 1 to ${NAME_BYTES_MAX} bytes for the network`);
  if (founders.length % 3 !== 1 || founders.length > DEFAULT_PARAMETERS.seatsMax)
    refuse(`expected 1, 4, 7, … 64 founders (3f + 1, of whom f may fail), got ${founders.length}`);
  const soft = founders.find(({ tpm }) => tpm === 'software');
  if (kind === 'public' && soft !== undefined)
    refuse(
      `the founder ${nodeAddress(soft.nodeId)} has a software TPM, which counts on development networks only (--dev)`,
    );
  for (const part of ['nodeId', 'accountId', 'ekId'] as const)
    if (new Set(founders.map((founder) => founder[part])).size < founders.length)
      refuse(`two founders have the same ${part}: was a file given twice, or a data folder copied?`);
  const parameters = { ...DEFAULT_PARAMETERS, ...plan.parameters };
  const genesis: Genesis = {
    name,
    timestampMs,
    kind,
    issuers,
    committee: founders.map(({ ekId, nodeId, accountId }) => ({
      seatId: ekId as string as Hash,
      nodeId,
      accountId,
    })),
    parameters: {
      ...parameters,
      seatLifetimeMs: Math.max(DEFAULT_PARAMETERS.seatLifetimeMs, 2 * parameters.epochMs),
    },
  };
  checkGenesis(genesis);
  return genesis;
}
