import { toHex, utf8 } from '../../ledger/bytes.ts';
import { Committee } from '../../ledger/consensus/committee.ts';
import { Consensus } from '../../ledger/consensus/consensus.ts';
import type { ConsensusMessage } from '../../ledger/consensus/messages.ts';
import { sha256 } from '../../ledger/crypto/sha256.ts';
import type { NodeId } from '../../ledger/ids.ts';
import { Agenda } from './agenda.ts';
import { ByzantineNode, type ByzantineSurroundings } from './byzantine.ts';
import { harm } from './harm.ts';
import { MOCK_KEYS } from './keys.ts';
import { Links } from './links.ts';
import { ModelChain } from './model-chain.ts';
import { MODEL_CHAIN, seatsOf } from './model-committee.ts';
import type { Mutation, NodeSurroundings } from './node-surroundings.ts';
import { Observer } from './observer.ts';
import { diceOf, type Fault, shapeOf } from './shape.ts';
import { SimulatedNode } from './simulated-node.ts';

/**
 * One simulated network: the real consensus on virtual time, links, disks and faults, with signatures modelled as
 * unforgeable hashes. Everything follows from the seed.
 */

export interface Outcome {
  readonly seed: number;
  readonly nodes: number;
  readonly byzantine: number;
  /** What must never happen and did. */
  readonly violation: string | undefined;
  /** What should have happened after the faults healed and did not. */
  readonly stalled: string | undefined;
  readonly virtualMs: number;
  readonly height: number;
  readonly epochs: number;
  /** Hash over all final blocks and the number of events: a replay must give the same. */
  readonly fingerprint: string;
  readonly counters: ReadonlyMap<string, number>;
}

export interface SimulateOptions {
  readonly mutation?: Mutation;
  readonly consensus?: typeof Consensus;
  /** Kinds of faults that are left out: for shrinking. */
  readonly without?: ReadonlySet<Fault>;
}

const CHAOS_MS = 45_000;
const HEAL_MS = 60_000;
/** An idle ledger is watched for this long. */
const QUIET_MS = 8_000;

export function simulate(seed: number, options: SimulateOptions = {}): Outcome {
  const keys = MOCK_KEYS;
  const dice = diceOf(seed);
  const shape = shapeOf(dice, options.without ?? new Set());
  const ids = Array.from({ length: shape.members + shape.followers }, (_, i) => keys.nodeId(i));
  const all = seatsOf(ids);
  const members = all.slice(0, shape.members);
  const chain = new ModelChain(MODEL_CHAIN, all, shape.members, shape.epochBlocks);
  const agenda = new Agenda();
  const observer = new Observer(agenda);
  const nodes = new Map<NodeId, SimulatedNode>();
  const twins = new Map<NodeId, SimulatedNode>();
  const reach = (from: NodeId, id: NodeId): SimulatedNode | undefined => {
    const twin = twins.get(id);
    return twin?.hears(from) === true ? twin : nodes.get(id);
  };
  const links = new Links<ConsensusMessage>(agenda, dice.network, shape, observer, (from, to, message) =>
    reach(from, to)?.receive(from, message),
  );
  const byzantine = new Set(ids.slice(0, shape.byzantine));
  const world: NodeSurroundings = {
    chain,
    keys,
    agenda,
    dice,
    shape,
    observer,
    links,
    ids,
    byzantine,
    nodes,
    reach,
    boundaries: new Map(),
    committees: new Map([[0, new Committee(MODEL_CHAIN, 0, members)]]),
    mutation: options.mutation ?? {},
    consensus: options.consensus ?? Consensus,
  };
  const surroundings: ByzantineSurroundings = {
    chain,
    keys,
    dice: dice.faults,
    ids,
    agenda,
    nowMs: () => agenda.nowMs,
    committee: (epoch) => world.committees.get(epoch),
    acknowledged: () => observer.acknowledged.values().next().value,
    post: (from, to, message) => links.post(from, to, message),
    count: (name) => observer.count(name),
    holds: (node, block) => void nodes.get(node)?.blocks.add(block),
  };
  for (const [i, id] of ids.entries()) {
    if (byzantine.has(id) && shape.twins) {
      const blocks = new Set([chain.genesisId]);
      const [one, other] = [0, 1].map((half) => new Set(ids.filter((_, at) => at % 2 === half)));
      nodes.set(id, new SimulatedNode(id, world, { twin: { half: one as Set<NodeId>, blocks } }));
      twins.set(id, new SimulatedNode(id, world, { twin: { half: other as Set<NodeId>, blocks } }));
      observer.count('twins');
      continue;
    }
    const misbehaviour = byzantine.has(id) ? new ByzantineNode(id, surroundings, seed + i) : undefined;
    nodes.set(id, new SimulatedNode(id, world, { misbehaviour }));
  }
  const honest = [...nodes.values()].filter((node) => !byzantine.has(node.id));
  for (const node of honest) {
    const drift = (dice.shape.next() * 2 - 1) * shape.driftMax;
    node.clock.set(dice.shape.whole(-shape.skewMaxMs, shape.skewMaxMs), drift);
    if (drift !== 0) observer.count('drifting clocks');
  }

  const submitted: number[] = [];
  work(world, honest, submitted);
  // Members that may forget what they voted: the last ones, so that they are honest.
  harm(world, honest, new Set(ids.slice(shape.members - shape.forgetful, shape.members)));
  agenda.at(CHAOS_MS, () => {
    links.heal();
    for (const node of honest) {
      node.clock.set(0, 0);
      if (!node.up) node.restart();
    }
    // Clients repeat themselves until they are answered.
    for (const transaction of submitted)
      for (const node of honest)
        if (!observer.acknowledged.has(transaction))
          agenda.at(agenda.nowMs + dice.work.whole(0, 2_000), () => node.submit(transaction));
  });

  const settled = (): boolean =>
    submitted.every((transaction) => observer.acknowledged.has(transaction)) &&
    honest.every((node) => node.disk.final.height === observer.finalByHeight.size);
  let quiet: { readonly sinceMs: number; readonly height: number } | undefined;
  for (let n = 0; observer.violation === undefined && agenda.nowMs < CHAOS_MS + HEAL_MS; n++) {
    if (!agenda.step()) break;
    if (!links.healed || n % 64 !== 0) continue;
    if (!settled()) quiet = undefined;
    else quiet ??= { sinceMs: agenda.nowMs, height: observer.finalByHeight.size };
    if (quiet !== undefined && agenda.nowMs - quiet.sinceMs > QUIET_MS) break;
  }
  if (quiet !== undefined && byzantine.size === 0 && observer.finalByHeight.size !== quiet.height)
    observer.violate('an idle ledger made blocks');
  const missing = submitted.filter((transaction) => !observer.acknowledged.has(transaction)).length;
  const heights = honest.map((node) => node.disk.final.height).join(' ');
  return {
    seed,
    nodes: shape.members,
    byzantine: shape.byzantine,
    violation: observer.violation,
    stalled:
      observer.violation !== undefined || settled()
        ? undefined
        : `${missing} of ${submitted.length} transactions are not final, heights ${heights} of ${observer.finalByHeight.size}`,
    virtualMs: agenda.nowMs,
    height: observer.finalByHeight.size,
    epochs: world.committees.size,
    fingerprint: toHex(
      sha256(utf8([...observer.finalByHeight.values()].join(',')), utf8(String(agenda.steps))),
    ).slice(0, 16),
    counters: observer.counters,
  };
}

/** Clients: bursts of transactions at honest nodes, with pauses in which the ledger should fall idle. */
function work(world: NodeSurroundings, honest: readonly SimulatedNode[], submitted: number[]): void {
  const { agenda, dice, links } = world;
  const submit = (): void => {
    if (links.healed) return;
    for (let n = dice.work.whole(1, 3); n > 0; n--) {
      const transaction = submitted.length + 1;
      submitted.push(transaction);
      dice.work.pick(honest).submit(transaction);
    }
    const restMs = dice.work.chance(0.2) ? dice.work.whole(2_000, 12_000) : dice.work.whole(20, 1_500);
    agenda.at(agenda.nowMs + restMs, submit);
  };
  agenda.at(10, submit);
}
