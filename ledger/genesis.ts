import * as P from 'micro-packed';
import {
  accountIdCodec,
  boundedList,
  boundedText,
  type Codec,
  encode,
  grainsCodec,
  hashCodec,
  nodeIdCodec,
  safeU64,
} from './codec.ts';
import { isPublicKey } from './crypto/secp256k1.ts';
import { sha256 } from './crypto/sha256.ts';
import { LedgerError } from './errors.ts';
import { GRAINS_PER_ACORN, type Grains, grains } from './grains.ts';
import {
  type AccountId,
  type ChainId,
  type Hash,
  hashId,
  idBytes,
  type NodeId,
  parseAccountAddress,
  parseHashId,
  parseNodeAddress,
} from './ids.ts';

/** What a network agrees on before its first block. The chain's id is the hash of it. */

/** A place in the committee: who votes, and whose account the fees go to. */
export interface Seat {
  /** The `ekId` of the seat's TPM. */
  readonly seatId: Hash;
  readonly nodeId: NodeId;
  readonly accountId: AccountId;
}

export interface Parameters {
  readonly periodMs: number;
  /** Periods after its own in which a period can still be proven. */
  readonly proofWindow: number;
  readonly challengesPerPeriod: number;
  /** A missed period costs this many times its price in collateral. */
  readonly missPenalty: number;
  /** Missed periods in a row that fail a contract. */
  readonly maxMissed: number;
  readonly feeFloorGrainsPerKiB: Grains;
  readonly blockBytesMax: number;
  readonly blockTransactionsMax: number;
  readonly seatsMax: number;
  /** Ledger time after which the committee may change. */
  readonly epochMs: number;
  /** A seat must have been renewed this recently. */
  readonly seatLifetimeMs: number;
  /** Locked by whoever takes a seat; burned when its node signs contradicting votes. */
  readonly seatBondGrains: Grains;
}

export interface Genesis {
  readonly name: string;
  readonly timestampMs: number;
  readonly kind: 'public' | 'dev';
  /** Keys of those who may endorse TPMs. */
  readonly issuers: readonly AccountId[];
  readonly committee: readonly Seat[];
  readonly parameters: Parameters;
}

export const DEFAULT_PARAMETERS: Parameters = {
  periodMs: 24 * 3_600_000,
  proofWindow: 2,
  challengesPerPeriod: 5,
  missPenalty: 10,
  maxMissed: 3,
  feeFloorGrainsPerKiB: grains(100),
  blockBytesMax: 1_048_576,
  blockTransactionsMax: 2_000,
  seatsMax: 64,
  epochMs: 24 * 3_600_000,
  seatLifetimeMs: 24 * 3_600_000,
  seatBondGrains: grains(10n * GRAINS_PER_ACORN),
};

export const seatCodec = P.struct({
  seatId: hashCodec,
  nodeId: nodeIdCodec,
  accountId: accountIdCodec,
}) as Codec<Seat>;
const parametersCodec = P.struct({
  periodMs: safeU64,
  proofWindow: P.U8,
  challengesPerPeriod: P.U8,
  missPenalty: P.U32BE,
  maxMissed: P.U8,
  feeFloorGrainsPerKiB: grainsCodec,
  blockBytesMax: P.U32BE,
  blockTransactionsMax: P.U32BE,
  seatsMax: P.U16BE,
  epochMs: safeU64,
  seatLifetimeMs: safeU64,
  seatBondGrains: grainsCodec,
}) as Codec<Parameters>;
const genesisCodec = P.struct({
  magic: P.magicBytes('blocktree/genesis/1'),
  name: boundedText(64),
  timestampMs: safeU64,
  kind: P.map(P.U8, { dev: 0, public: 1 }) as Codec<'dev' | 'public'>,
  issuers: boundedList(64, accountIdCodec),
  committee: boundedList(64, seatCodec),
  parameters: parametersCodec,
}) as unknown as Codec<Genesis & { magic?: undefined }>;

/** Parameters that are amounts: decimal strings in files. */
const AMOUNTS = new Set<keyof Parameters>(['feeFloorGrainsPerKiB', 'seatBondGrains']);

/** sha256 of the canonical encoding. */
export function chainIdOf(genesis: Genesis): ChainId {
  return hashId<ChainId>(sha256(encode(genesisCodec, { ...genesis, magic: undefined }, 'genesis')));
}

/** A genesis as in a network file. */
export interface GenesisJson {
  readonly name: string;
  readonly timestamp: string;
  readonly kind: Genesis['kind'];
  readonly issuers: AccountId[];
  readonly committee: Seat[];
  readonly parameters: Record<keyof Parameters, string | number>;
}

/** The genesis as a JSON value: amounts as decimal strings, times as ISO 8601. */
export function genesisToJson(genesis: Genesis): GenesisJson {
  const { name, kind, issuers, committee } = genesis;
  return {
    name,
    timestamp: new Date(genesis.timestampMs).toISOString(),
    kind,
    issuers: [...issuers],
    committee: [...committee],
    parameters: {
      ...genesis.parameters,
      feeFloorGrainsPerKiB: String(genesis.parameters.feeFloorGrainsPerKiB),
      seatBondGrains: String(genesis.parameters.seatBondGrains),
    },
  };
}

/** Reads a genesis file. Throws LedgerError `malformed` that names the field and what was expected. */
export function genesisFromJson(json: unknown): Genesis {
  const file = object(json, 'the network file');
  const parameters = object(file.parameters, 'parameters');
  const numbers = Object.fromEntries(
    (Object.keys(DEFAULT_PARAMETERS) as (keyof Parameters)[])
      .filter((name) => !AMOUNTS.has(name))
      .map((name) => [name, wholeNumber(parameters[name], `parameters.${name}`)]),
  );
  const timestampMs = Date.parse(text(file.timestamp, 'timestamp'));
  if (!Number.isSafeInteger(timestampMs) || timestampMs < 0) throw expected('timestamp', 'an ISO 8601 time');
  const kind = file.kind;
  if (kind !== 'dev' && kind !== 'public') throw expected('kind', '"dev" or "public"');
  const genesis: Genesis = {
    name: text(file.name, 'name'),
    timestampMs,
    kind,
    issuers: list(file.issuers, 'issuers').map((key, i) => parseAccountAddress(text(key, `issuers[${i}]`))),
    committee: list(file.committee, 'committee').map((entry, i) => {
      const seat = object(entry, `committee[${i}]`);
      return {
        seatId: parseHashId<Hash>(text(seat.seatId, `committee[${i}].seatId`)),
        nodeId: parseNodeAddress(text(seat.nodeId, `committee[${i}].nodeId`)),
        accountId: parseAccountAddress(text(seat.accountId, `committee[${i}].accountId`)),
      };
    }),
    parameters: {
      ...numbers,
      feeFloorGrainsPerKiB: amount(parameters.feeFloorGrainsPerKiB, 'parameters.feeFloorGrainsPerKiB'),
      seatBondGrains: amount(parameters.seatBondGrains, 'parameters.seatBondGrains'),
    } as Parameters,
  };
  checkGenesis(genesis);
  return genesis;
}

/** What every genesis must satisfy. Throws LedgerError `malformed`. */
export function checkGenesis({ issuers, committee, parameters }: Genesis): void {
  if (committee.length === 0 || committee.length % 3 !== 1)
    throw expected('committee', '1, 4, 7, … 64 seats');
  if (new Set(committee.map((seat) => seat.seatId)).size !== committee.length)
    throw expected('committee', 'different seats');
  if (new Set(committee.map((seat) => seat.nodeId)).size !== committee.length)
    throw expected('committee', 'different nodes');
  const keys = [...issuers, ...committee.flatMap((seat) => [seat.nodeId, seat.accountId])];
  if (!keys.every((key) => isPublicKey(idBytes(key)))) throw expected('issuers and committee', 'valid keys');
  if (parameters.periodMs < 1_000) throw expected('parameters.periodMs', 'at least 1000');
  if (parameters.challengesPerPeriod < 1 || parameters.challengesPerPeriod > 16)
    throw expected('parameters.challengesPerPeriod', '1 to 16');
  if (parameters.proofWindow < 1 || parameters.proofWindow > 7)
    throw expected('parameters.proofWindow', '1 to 7');
  if (parameters.seatsMax < 1 || parameters.seatsMax > 64) throw expected('parameters.seatsMax', '1 to 64');
  if (parameters.epochMs < 1_000) throw expected('parameters.epochMs', 'at least 1000');
  if (parameters.seatLifetimeMs < parameters.epochMs)
    throw expected('parameters.seatLifetimeMs', 'at least epochMs');
  if (parameters.maxMissed < 1) throw expected('parameters.maxMissed', 'at least 1');
  if (parameters.blockBytesMax < 131_072 || parameters.blockBytesMax > 1_048_576)
    throw expected('parameters.blockBytesMax', '131072 to 1048576');
}

function expected(field: string, what: string): LedgerError {
  return new LedgerError('malformed', `network file: expected ${what} in ${field}`);
}
function object(value: unknown, field: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw expected(field, 'an object');
  return value as Record<string, unknown>;
}
function list(value: unknown, field: string): readonly unknown[] {
  if (!Array.isArray(value) || value.length > 64) throw expected(field, 'a list of at most 64');
  return value;
}
function text(value: unknown, field: string): string {
  if (typeof value !== 'string') throw expected(field, 'text');
  return value;
}
function amount(value: unknown, field: string): Grains {
  const digits = text(value, field);
  if (!/^\d{1,19}$/.test(digits)) throw expected(field, 'a decimal amount in grains');
  return grains(BigInt(digits));
}
function wholeNumber(value: unknown, field: string): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0)
    throw expected(field, 'a whole number');
  return value;
}
