import { RandomStream } from './random.ts';

/** What a seed decides: streams of chance apart for each concern, and how big, slow and unlucky its network is. */

/** What a seed may bring; a shrunk failure names those that it needs. */
export const FAULTS = [
  'loss',
  'duplicates',
  'crashes',
  'partitions',
  'slow disks',
  'broken disks',
  'clocks',
  'lost logs',
  'power cuts',
  'epochs',
  'clogged links',
  'full disks',
  'suspends',
  'rotten ledgers',
] as const;
export type Fault = (typeof FAULTS)[number];

export interface Dice {
  readonly shape: RandomStream;
  readonly network: RandomStream;
  readonly disk: RandomStream;
  readonly work: RandomStream;
  readonly faults: RandomStream;
}

export function diceOf(seed: number): Dice {
  return {
    shape: new RandomStream(seed, 'shape'),
    network: new RandomStream(seed, 'network'),
    disk: new RandomStream(seed, 'disk'),
    work: new RandomStream(seed, 'work'),
    faults: new RandomStream(seed, 'faults'),
  };
}

export type Shape = ReturnType<typeof shapeOf>;

/** Times in ms, chances 0 to 1: of what `harm` does a second, of the others an occasion. */
export function shapeOf({ shape }: Dice, without: ReadonlySet<Fault>) {
  const unless = (fault: Fault): number => Number(!without.has(fault));
  const members = shape.pick([1, 4, 4, 4, 7]);
  const followers = shape.whole(0, 2);
  const faulty = Math.floor((members - 1) / 3);
  const byzantine = shape.whole(0, faulty);
  return {
    members,
    followers,
    byzantine,
    linkMinMs: shape.whole(1, 30),
    linkMeanMs: shape.whole(5, 120),
    loss: shape.next() * 0.25 * unless('loss'),
    duplicates: shape.next() * 0.2 * unless('duplicates'),
    crashes: shape.next() * 0.12 * unless('crashes'),
    partitions: shape.next() * 0.12 * unless('partitions'),
    /** Partitions that let messages through one way. */
    oneWay: shape.chance(0.5),
    syncMaxMs: shape.whole(1, 60),
    slowSyncs: shape.next() * 0.1 * unless('slow disks'),
    /** Syncs that fail: the node ends itself. */
    failedSyncs: shape.next() * 0.004 * unless('broken disks'),
    powerCuts: shape.next() * 0.03 * unless('power cuts'),
    /** Blocks of an epoch; `undefined`: it ends only when a member is convicted. */
    epochBlocks: without.has('epochs') ? undefined : shape.pick([undefined, 3, 8, 20]),
    skewMaxMs: shape.pick([0, 0, 400, 3_000]) * unless('clocks'),
    /** Honest members that lose what they know of their votes: they count among the faulty. */
    forgetful: shape.whole(0, faulty - byzantine) * unless('lost logs'),
    misfortune: shape.pick(['lost log', 'old backup', 'bit rot'] as const),
    /** Links that hold everything back for a while, then deliver it at once. */
    clogs: shape.next() * 0.3 * unless('clogged links'),
    /** Disks without room for a while: nothing can be synced. */
    fullDisks: shape.next() * 0.03 * unless('full disks'),
    /** Machines that stand still for a while, as when a laptop is closed; what comes meanwhile waits for them. */
    suspends: shape.next() * 0.05 * unless('suspends'),
    /** Seconds that a clock gains a second, at most. */
    driftMax: shape.pick([0, 0, 0.002, 0.05]) * unless('clocks'),
    /** A bit of the stored ledger turned over, found at a restart; real ledgers only. */
    rottenLedgers: shape.next() * 0.3 * unless('rotten ledgers'),
    /** Blocks behind which a node takes the state over instead of executing them; never: 0; real nodes only. */
    snapshotBehind: shape.pick([0, 2, 5]),
    /** Clients that hardly rest, and a follower that comes when all is over; real nodes only. */
    busy: shape.chance(0.15),
    latecomer: shape.chance(0.3),
    /** Only one member is dialled to begin with; real networks only. */
    oneSeed: shape.chance(0.5),
    /** Partitions that cut off one node from all others. */
    lonely: shape.chance(0.3),
    /** Byzantine members are two honest nodes with one key, each of which sees one half of the network. */
    twins: shape.chance(0.15),
    /** Nodes keep a few bodies only: who missed more has to take the state over; real nodes only. */
    prunes: shape.chance(0.5),
  };
}
