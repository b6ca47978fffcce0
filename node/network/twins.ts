import { randomBytes } from 'node:crypto';
import { concat, toHex } from '../../ledger/bytes.ts';
import type { ChainId } from '../../ledger/ids.ts';
import { Listeners } from '../listeners.ts';
import { Budget } from './budget.ts';
import { KIND } from './kinds.ts';
import type { Link } from './link.ts';
import { NetworkError } from './network-error.ts';
import {
  addressIn,
  CHALLENGE_BYTES,
  hostOf,
  type Identity,
  isSignedBy,
  provesTwin,
  type Rival,
  SESSION_BYTES,
  SIGNED_BYTES,
  signSession,
  TESTIMONY_BYTES,
} from './session.ts';

/**
 * Two nodes that run with one key: most often a data folder that was copied. Every start of a node is a session of its own.
 * Who is linked to one session of a node and is called by another has the first one sign what only this call knows. If it
 * does, it lives: the caller is refused, and gets the signature. Nobody without the key makes one, none fits another call,
 * so that nobody else keeps a node out. The caller signs in turn what the first one drew: both hear of each other.
 */

/** A node that lives testifies within this; one that lost its power never does. */
const TESTIFY_MS = 3_000;
/** Testimonies a second, to all who ask: each is a signature. */
const TESTIMONIES_PER_SECOND = 50;
const TESTIMONIES_BURST = 200;
/** What was drawn and may still come back signed. */
const DRAWN_MAX = 256;
/** A twin that still runs is met again long before. */
const FRESH_MS = 30_000;

/** The node behind a link as a rival; `silent` when nobody is there, `unclear` when it has too much to do to say. */
export async function rivalAt(
  link: Link,
  chainId: ChainId,
  challenge: Uint8Array,
): Promise<Rival | 'silent' | 'unclear'> {
  const { peer, session } = link;
  const address = link.outbound ? link.address : hostOf(link.address);
  let testimony: Uint8Array;
  try {
    testimony = Uint8Array.from(await link.request(KIND.testimony, challenge, TESTIFY_MS));
  } catch (error) {
    if (!(error instanceof NetworkError)) throw error;
    return error.code === 'timeout' || error.code === 'closed' ? 'silent' : 'unclear';
  }
  const holds =
    testimony.length === TESTIMONY_BYTES &&
    toHex(testimony.subarray(0, SESSION_BYTES)) === session &&
    isSignedBy(chainId, peer, challenge, testimony);
  if (!holds) return 'unclear';
  return {
    testimony,
    address,
    tell: (signed, at) =>
      link.notify(KIND.twin, concat(testimony.subarray(SIGNED_BYTES), signed, Buffer.from(at))),
  };
}

/** How another node with this node's key was met. */
export interface TwinSighting {
  /** Others refused this node because of it: it was there first. */
  readonly refused: boolean;
  /** Where a peer sees it; what peers say of it need not be true. */
  readonly address: string | undefined;
  /** On the clock of `performance.now()`. */
  readonly atMs: number;
}

/** Both sides of a refusal, at the twins themselves. */
export class Twins {
  readonly #self: Identity;
  readonly #noticed: (sighting: TwinSighting) => void;
  readonly #listeners = new Listeners<[sighting: TwinSighting]>();
  readonly #budget = new Budget(TESTIMONIES_PER_SECOND, TESTIMONIES_BURST, performance.now());
  readonly #drawn = new Set<string>();
  #last: TwinSighting | undefined;

  /** `noticed` hears of what is new, once. */
  constructor(self: Identity, noticed: (sighting: TwinSighting) => void) {
    this.#self = self;
    this.#noticed = noticed;
  }

  /** The newest sighting, while it says something of now. */
  get sighting(): TwinSighting | undefined {
    const last = this.#last;
    return last !== undefined && performance.now() - last.atMs < FRESH_MS ? last : undefined;
  }

  onMet(listener: (sighting: TwinSighting) => void): () => void {
    return this.#listeners.add(listener);
  }

  met(refused: boolean, address: string | undefined): void {
    const before = this.sighting;
    this.#last = { refused, address: address ?? before?.address, atMs: performance.now() };
    if (before === undefined || (refused && !before.refused)) this.#noticed(this.#last);
    this.#listeners.tell(this.#last);
  }

  /** Says that this session lives, to whoever asks. Throws NetworkError `overloaded`. */
  testify(challenge: Uint8Array): Uint8Array {
    if (!this.#budget.affords(1, performance.now()))
      throw new NetworkError('overloaded', 'too many testimonies are asked for');
    const drawn = randomBytes(CHALLENGE_BYTES);
    this.#drawn.add(toHex(drawn));
    for (const oldest of this.#drawn) {
      if (this.#drawn.size <= DRAWN_MAX) break;
      this.#drawn.delete(oldest);
    }
    return concat(signSession(this.#self, challenge), drawn);
  }

  /** Takes what a peer passes on: drawn 32 ‖ signed session 80 ‖ address. What does not hold is ignored. */
  told(body: Uint8Array): void {
    const challenge = body.subarray(0, CHALLENGE_BYTES);
    const signed = body.subarray(CHALLENGE_BYTES, CHALLENGE_BYTES + SIGNED_BYTES);
    if (!this.#drawn.delete(toHex(challenge)) || signed.length < SIGNED_BYTES) return;
    if (provesTwin(this.#self, challenge, signed))
      this.met(false, addressIn(body.subarray(CHALLENGE_BYTES + SIGNED_BYTES)));
  }
}
