import type { BlockHeader } from '../block.ts';
import type { NodeId } from '../ids.ts';
import type { Proposal } from './messages.ts';
import { type Certificate, type Position, positionKey, type VoteType } from './votes.ts';

/** What is known of one view. */
export interface Slot {
  /** The first proposal of its leader whose signature held. */
  proposal:
    | { readonly position: Position; readonly header: BlockHeader; readonly from: NodeId; invalid: boolean }
    | undefined;
  /** What this node proposed, to send again. */
  own: Proposal | undefined;
  readonly notarize: Tally;
  readonly nullify: Map<number, Uint8Array>;
  readonly finalize: Tally;
  /** What this node voted; changes at once, is sent when durable. */
  readonly mine: Mine;
  /** Which of its votes are on disk and may be repeated. */
  readonly durable: Set<VoteType>;
  notarization: Certificate | undefined;
  nullification: Certificate | undefined;
  finalization: Certificate | undefined;
}

interface Mine {
  notarize: Position | undefined;
  nullify: boolean;
  finalize: Position | undefined;
  readonly signatures: Map<VoteType, Uint8Array>;
}

/** Votes for positions by seat index: one a seat, the first that held. */
export class Tally {
  readonly #byPosition = new Map<
    string,
    { readonly position: Position; readonly votes: Map<number, Uint8Array> }
  >();
  readonly #voters = new Set<number>();

  has(seat: number): boolean {
    return this.#voters.has(seat);
  }

  add(position: Position, seat: number, signature: Uint8Array): void {
    if (this.#voters.has(seat)) return;
    this.#voters.add(seat);
    const key = positionKey(position);
    const entry = this.#byPosition.get(key) ?? { position, votes: new Map<number, Uint8Array>() };
    entry.votes.set(seat, signature);
    this.#byPosition.set(key, entry);
  }

  /** What a seat voted for, and its signature. */
  voteOf(seat: number): { readonly position: Position; readonly signature: Uint8Array } | undefined {
    if (!this.#voters.has(seat)) return undefined;
    for (const { position, votes } of this.#byPosition.values()) {
      const signature = votes.get(seat);
      if (signature !== undefined) return { position, signature };
    }
    return undefined;
  }

  /** The position that a quorum voted for. */
  reached(
    quorum: number,
  ): { readonly position: Position; readonly votes: ReadonlyMap<number, Uint8Array> } | undefined {
    for (const entry of this.#byPosition.values()) if (entry.votes.size >= quorum) return entry;
    return undefined;
  }
}

export function emptySlot(): Slot {
  return {
    proposal: undefined,
    own: undefined,
    notarize: new Tally(),
    nullify: new Map(),
    finalize: new Tally(),
    mine: { notarize: undefined, nullify: false, finalize: undefined, signatures: new Map() },
    durable: new Set(),
    notarization: undefined,
    nullification: undefined,
    finalization: undefined,
  };
}
