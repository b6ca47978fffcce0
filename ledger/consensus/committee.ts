import { committeeHash } from '../block.ts';
import { toHex, utf8 } from '../bytes.ts';
import { safeU64 } from '../codec.ts';
import { verify } from '../crypto/secp256k1.ts';
import { sha256 } from '../crypto/sha256.ts';
import { demand } from '../errors.ts';
import type { Seat } from '../genesis.ts';
import { type ChainId, idBytes, type NodeId } from '../ids.ts';
import { type Certificate, type Position, positionBytes, type VoteType } from './votes.ts';

/** Checks a signature: real ECDSA, or a model of it in simulations. */
export type Verifier = (signature: Uint8Array, digest: Uint8Array, signer: NodeId) => boolean;

export const ecdsaVerifier: Verifier = (signature, digest, signer) =>
  verify(signature, digest, idBytes(signer));

const TYPE_BYTE: Record<VoteType, Uint8Array> = {
  notarize: Uint8Array.of(1),
  nullify: Uint8Array.of(2),
  finalize: Uint8Array.of(3),
};

/** Who votes in one epoch, and what their votes mean. n = 3f + 1 seats, a quorum is n − f. */
export class Committee {
  readonly epoch: number;
  /** In the order of seat ids: the order of bitmaps. */
  readonly seats: readonly Seat[];
  readonly faulty: number;
  readonly quorum: number;
  readonly #domain: Uint8Array;
  readonly #leaders: readonly NodeId[];
  readonly #indexes: ReadonlyMap<NodeId, number>;

  constructor(chainId: ChainId, epoch: number, seats: readonly Seat[]) {
    this.epoch = epoch;
    this.seats = [...seats].sort((a, b) => (a.seatId < b.seatId ? -1 : 1));
    this.faulty = Math.floor((seats.length - 1) / 3);
    this.quorum = seats.length - this.faulty;
    const domain = sha256(
      utf8('BT1'),
      idBytes(chainId),
      safeU64.encode(epoch),
      idBytes(committeeHash(seats)),
    );
    this.#domain = domain;
    this.#leaders = seats
      .map(({ nodeId, seatId }) => ({ nodeId, order: toHex(sha256(domain, idBytes(seatId))) }))
      .sort((a, b) => (a.order < b.order ? -1 : 1))
      .map(({ nodeId }) => nodeId);
    this.#indexes = new Map(this.seats.map((seat, index) => [seat.nodeId, index]));
  }

  /** Position of a member in bitmaps; `undefined` for everybody else. */
  indexOf(nodeId: NodeId): number | undefined {
    return this.#indexes.get(nodeId);
  }

  leader(view: number): NodeId {
    return this.#leaders[view % this.#leaders.length] as NodeId;
  }

  /** The 32 bytes that a vote signs. */
  digest(type: VoteType, view: number, position: Position | undefined): Uint8Array {
    return sha256(
      this.#domain,
      TYPE_BYTE[type],
      position === undefined ? safeU64.encode(view) : positionBytes(position),
    );
  }

  /** A certificate of a quorum's signatures by seat index. */
  certificate(
    type: VoteType,
    view: number,
    position: Position | undefined,
    votes: ReadonlyMap<number, Uint8Array>,
  ): Certificate {
    const bitmap = new Uint8Array(Math.ceil(this.seats.length / 8));
    const signatures: Uint8Array[] = [];
    for (const index of [...votes.keys()].sort((a, b) => a - b).slice(0, this.quorum)) {
      bitmap[index >> 3] = (bitmap[index >> 3] as number) | (0x80 >> (index & 7));
      signatures.push(votes.get(index) as Uint8Array);
    }
    return { type, epoch: this.epoch, view, position, bitmap, signatures };
  }

  /** The members whose signatures a certificate carries. */
  signers(certificate: Certificate): readonly NodeId[] {
    return this.seats
      .filter((_, bit) => ((certificate.bitmap[bit >> 3] as number) & (0x80 >> (bit & 7))) !== 0)
      .map((seat) => seat.nodeId);
  }

  /** Checks a certificate of this epoch. Throws LedgerError `bad-certificate`. */
  check(certificate: Certificate, verifier: Verifier = ecdsaVerifier): void {
    const { type, epoch, view, position, bitmap, signatures } = certificate;
    demand(epoch === this.epoch, 'bad-certificate', `expected a certificate of epoch ${this.epoch}`);
    demand(bitmap.length === Math.ceil(this.seats.length / 8), 'bad-certificate', 'expected a bit a seat');
    const members: number[] = [];
    for (let bit = 0; bit < bitmap.length * 8; bit++) {
      if (((bitmap[bit >> 3] as number) & (0x80 >> (bit & 7))) === 0) continue;
      demand(bit < this.seats.length, 'bad-certificate', 'a bit beyond the seats');
      members.push(bit);
    }
    demand(members.length >= this.quorum, 'bad-certificate', `expected a quorum of ${this.quorum}`);
    demand(signatures.length === members.length, 'bad-certificate', 'expected a signature a bit');
    const digest = this.digest(type, view, position);
    for (const [i, member] of members.entries()) {
      const holds = verifier(signatures[i] as Uint8Array, digest, (this.seats[member] as Seat).nodeId);
      demand(holds, 'bad-certificate', `the signature of seat ${member} does not hold`);
    }
  }
}
