/** Times of the protocol, in ms. Δ is what a message may take between members that reach each other. */

const DELTA_MS = 200;
/** Without a proposal a view times out after this, times the back-off. */
export const NO_PROPOSAL_MS = 3 * DELTA_MS;
export const PROPOSAL_MS = 6 * DELTA_MS;
export const RETRY_MS = 5 * DELTA_MS;
/** A notarized tip this old is worth another round, so that it becomes final. */
export const FLUSH_MS = 3 * DELTA_MS;
export const GAP_REPAIR_MS = 500;
export const STATUS_MS = 3_000;
/** How often a member that just started asks the others what they heard from it. */
export const RECOVERY_STATUS_MS = 500;
export const BACKOFF_MAX = 60;
/** A proposal may be this much ahead of the clock; later ones wait. */
export const AHEAD_MS = 1_000;
/** One node of another epoch is answered this often, unless it got on to a later one. */
export const EPOCH_REPLY_MS = 250;
