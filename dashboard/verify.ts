import { fromHex } from '../ledger/bytes.ts';
import { Committee } from '../ledger/consensus/committee.ts';
import { decodeBoundary, followBoundaries } from '../ledger/consensus/trust-chain.ts';
import { LedgerError } from '../ledger/errors.ts';
import { chainIdOf, type GenesisJson, genesisFromJson, type Seat } from '../ledger/genesis.ts';
import { type ChainId, parseAccountAddress } from '../ledger/ids.ts';
import { type LightProofJson, lightProofFromJson, verifyLightProof } from '../ledger/light-proof.ts';
import { ACCOUNTS } from '../ledger/state/entities.ts';
import { call, Problem } from './api.ts';

/**
 * Checks balances in this browser, without taking the node's word: signatures of the committee over a header, and the
 * path from the account to the header's state root. Trust begins with the chain's first committee, which is part of what
 * the chain's id is the hash of, and is remembered as it moves on.
 */

/** Spans of epochs that are followed at most before one proof. */
const SPANS_MAX = 1_000;

export interface ProvenBalance {
  readonly chainId: string;
  readonly height: number;
  /** ISO 8601: when the block was made that the proof leads to. */
  readonly timestamp: string;
  readonly epoch: number;
  readonly balanceGrains: string;
}

/** A committee as this browser remembers it. */
interface Checkpoint {
  readonly epoch: number;
  readonly seats: readonly Seat[];
}

/** The balance of an account as its committee signed for it. Throws Problem, or LedgerError with what does not hold. */
export async function proveBalance(accountId: string): Promise<ProvenBalance> {
  const genesis = genesisFromJson(await call<GenesisJson>('GET', '/ledger/genesis'));
  const chainId = chainIdOf(genesis);
  let trusted = remembered(chainId) ?? new Committee(chainId, 0, genesis.committee);
  const id = parseAccountAddress(accountId);
  for (let span = 0; span < SPANS_MAX; span++) {
    try {
      const proof = await call<LightProofJson>(
        'GET',
        `/ledger/accounts/${accountId}/proof?epoch=${trusted.epoch}`,
      );
      const proven = verifyLightProof(chainId, trusted, ACCOUNTS, id, lightProofFromJson(proof));
      remember(chainId, proven.committee);
      const { height, timestampMs, epoch } = proven.header;
      return {
        chainId,
        height,
        timestamp: new Date(timestampMs).toISOString(),
        epoch,
        balanceGrains: (proven.row?.balanceGrains ?? 0n).toString(),
      };
    } catch (error) {
      if (!(error instanceof Problem) || error.code !== 'oversized') throw error;
      const next = await followOnce(chainId, trusted);
      if (next.epoch === trusted.epoch) throw error;
      remember(chainId, next);
      trusted = next;
    }
  }
  throw new LedgerError('oversized', 'the chain is too far ahead of what this browser knows');
}

/** The committee that one answer of boundaries leads to. */
async function followOnce(chainId: ChainId, from: Committee): Promise<Committee> {
  const { items } = await call<{ items: readonly string[] }>('GET', `/ledger/boundaries?epoch=${from.epoch}`);
  const boundaries = items.map((hex) => {
    const bytes = fromHex(hex);
    if (bytes === undefined) throw new LedgerError('malformed', 'expected a boundary in hex');
    return decodeBoundary(bytes);
  });
  return followBoundaries(chainId, from, boundaries);
}

const placeOf = (chainId: ChainId): string => `blocktree.committee.${chainId}`;

function remembered(chainId: ChainId): Committee | undefined {
  try {
    const { epoch, seats } = JSON.parse(localStorage.getItem(placeOf(chainId)) ?? '') as Checkpoint;
    return new Committee(chainId, epoch, seats);
  } catch {
    // Nothing, or nothing of ours: the first committee is as good a beginning, only further away.
    return undefined;
  }
}

function remember(chainId: ChainId, { epoch, seats }: Committee): void {
  localStorage.setItem(placeOf(chainId), JSON.stringify({ epoch, seats } satisfies Checkpoint));
}
