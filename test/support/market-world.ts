import { mock } from 'node:test';
import { LedgerError } from '../../ledger/errors.ts';
import { grains } from '../../ledger/grains.ts';
import type { ContractId, Hash, NodeId } from '../../ledger/ids.ts';
import { pairKey } from '../../ledger/state/contract-due.ts';
import { clockOf } from '../../ledger/state/draft.ts';
import { NODES, PAIRS } from '../../ledger/state/entities.ts';
import type { LedgerEvent } from '../../ledger/state/events.ts';
import type { StorageOffer } from '../../ledger/storage-formats.ts';
import type { TransactionBody } from '../../ledger/transaction.ts';
import { SlabPool } from '../../market/files/slab-pool.ts';
import { decodeList } from '../../market/fragment-list.ts';
import type { MarketWallet } from '../../market/interfaces.ts';
import { NetworkError } from '../../node/network/network-error.ts';
import { LedgerWorld, type Person } from './ledger-world.ts';
import { MarketNode, type Surroundings } from './market-node.ts';

/**
 * Renters and hosts in one process on the real ledger state, by a clock that the test turns. Links are the real messages,
 * carried by hand; a block is made when somebody sent something or a period is over. Nodes fall silent, die, and crash in
 * the middle of what they do.
 */

const TICK_MS = 50;
const BLOCK_MS = 200;
const LATENCY_MS = 5;
/** Rounds of the event loop after which what a tick set off has come to rest, when no slab is being coded. */
const SETTLE_ROUNDS = 4;
/** A refusal that another block may cure is tried again this often, as a wallet does. */
const SUBMITS_MAX = 4;

export const OFFER: StorageOffer = {
  priceGrainsPerGiBPeriod: grains(1_024_000_000),
  egressGrainsPerGiB: grains(1_024_000),
  collateralPercent: 50,
  freeBytes: 0,
  periodsMin: 1,
  periodsMax: 10_000,
};

/** One for all worlds of a process: its threads take long to start and end with it. */
const pool = new SlabPool();

interface Sending {
  readonly node: MarketNode;
  readonly body: TransactionBody;
  tries: number;
  resolve(sent: { transactionId: string; height: number }): void;
  reject(error: Error): void;
}

export class MarketWorld implements Surroundings {
  readonly ledger: LedgerWorld;
  readonly nodes: readonly MarketNode[];
  /** Everything that became final so far. */
  readonly events: LedgerEvent[] = [];
  readonly #sending: Sending[] = [];
  #coding = 0;
  #sinceBlockMs = 0;

  private constructor(renters: number, hosts: number, periodMs: number) {
    const names = (kind: string, count: number) =>
      Array.from({ length: count }, (_, i) => `${kind} ${i + 1}`);
    this.ledger = new LedgerWorld(
      ['proposer', ...names('renter', renters), ...names('host', hosts)],
      1_000_000_000_000_000n,
      periodMs,
    );
    this.nodes = this.ledger.people.slice(1).map((person) => new MarketNode(person, this));
  }

  /** A world in which every host offers and everybody is up. Call `close` at the end: the process's clock is held. */
  static async open(options: { hosts: number; renters?: number; periodMs?: number }): Promise<MarketWorld> {
    const { hosts, renters = 1, periodMs = 10_000 } = options;
    const world = new MarketWorld(renters, hosts, periodMs);
    mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'], now: world.ledger.nowMs });
    world.#record(
      world.ledger.block(world.hosts.map((host, i) => [host.person, announcement(host.person, i, OFFER)]))
        .events,
    );
    for (const node of world.nodes) await node.start();
    await world.run(100);
    return world;
  }

  async close(): Promise<void> {
    for (const node of this.nodes) node.crash();
    mock.timers.reset();
  }

  get renter(): MarketNode {
    return this.nodes[0] as MarketNode;
  }

  get hosts(): readonly MarketNode[] {
    return this.nodes.filter(({ person }) => person.name.startsWith('host'));
  }

  get period(): number {
    return this.ledger.period;
  }

  /** The node with this id. */
  at(nodeId: NodeId): MarketNode {
    const node = this.nodes.find(({ person }) => person.nodeId === nodeId);
    if (node === undefined) throw new Error('no such node');
    return node;
  }

  /** What codes slabs; the clock stands still while it works. */
  readonly coder = {
    encode: (...task: Parameters<SlabPool['encode']>) => this.#whileCoding(() => pool.encode(...task)),
    decode: (...task: Parameters<SlabPool['decode']>) => this.#whileCoding(() => pool.decode(...task)),
    rebuild: (...task: Parameters<SlabPool['rebuild']>) => this.#whileCoding(() => pool.rebuild(...task)),
    restore: (...task: Parameters<SlabPool['restore']>) => this.#whileCoding(() => pool.restore(...task)),
    decrypt: (...task: Parameters<SlabPool['decrypt']>) => this.#whileCoding(() => pool.decrypt(...task)),
  };

  async #whileCoding<T>(task: () => Promise<T>): Promise<T> {
    this.#coding++;
    try {
      return await task();
    } finally {
      this.#coding--;
    }
  }

  // ---- time

  /** Turns the clock. */
  async run(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= TICK_MS) {
      mock.timers.tick(Math.min(TICK_MS, left));
      await this.#settle();
      this.#sinceBlockMs += TICK_MS;
      if (this.#sinceBlockMs >= BLOCK_MS) this.#block();
    }
  }

  /** Turns the clock until a task ends; fails when it takes longer than `periodsMax`. */
  async finish<T>(task: Promise<T>, periodsMax = 10): Promise<T> {
    let ended = false;
    const end = (): void => {
      ended = true;
    };
    task.then(end, end);
    await this.until(() => ended, 'the task to end', periodsMax);
    return task;
  }

  /** Turns the clock until something holds; fails after `periodsMax`. */
  async until(holds: () => boolean | Promise<boolean>, what: string, periodsMax = 10): Promise<void> {
    const endMs = Date.now() + periodsMax * this.ledger.rules.parameters.periodMs;
    await this.#settle();
    while (!(await holds())) {
      if (Date.now() > endMs) throw new Error(`waited ${periodsMax} periods in vain for ${what}`);
      await this.run(TICK_MS);
    }
  }

  /** Turns the clock to the beginning of the `count`-th period from now. */
  async periods(count: number): Promise<void> {
    const target = this.period + count;
    await this.until(() => this.period >= target, `period ${target}`, count + 1);
  }

  async #settle(): Promise<void> {
    for (let round = 0; round < SETTLE_ROUNDS || this.#coding > 0; round++)
      await new Promise((resolve) => setImmediate(resolve));
  }

  // ---- the ledger

  submitter(node: MarketNode): MarketWallet {
    return {
      submit: (body) =>
        new Promise((resolve, reject) => this.#sending.push({ node, body, tries: 0, resolve, reject })),
    };
  }

  #block(): void {
    const { periodMs, blockTransactionsMax } = this.ledger.rules.parameters;
    this.#sinceBlockMs = 0;
    const turns = Date.now() >= clockOf(this.ledger.state).periodStartedMs + periodMs;
    if (this.#sending.length === 0 && !turns) return;
    const taken = this.#sending.splice(0, blockTransactionsMax);
    const { events, refused, ids } = this.ledger.block(
      taken.map(({ node, body }) => [node.person, body]),
      Date.now() - this.ledger.nowMs,
    );
    for (const [i, sending] of taken.entries()) {
      const error = refused[i];
      if (error === undefined)
        sending.resolve({ transactionId: ids[i] as string, height: this.ledger.header.height });
      else if (error.code === 'period-not-open' && ++sending.tries < SUBMITS_MAX) this.#sending.push(sending);
      else sending.reject(new LedgerError(error.code, error.message));
    }
    this.#record(events);
  }

  #record(traced: readonly { readonly event: LedgerEvent }[]): void {
    const events = traced.map(({ event }) => event);
    this.events.push(...events);
    for (const node of this.nodes) node.follow();
  }

  // ---- links

  /** Carries a request and its answer, as the network does with what it finds. */
  async carry(
    from: MarketNode,
    to: NodeId,
    kind: number,
    body: Uint8Array,
    deadlineMs: number,
  ): Promise<Uint8Array> {
    const node = this.at(to);
    return new Promise((resolve, reject) => {
      const late = setTimeout(
        () => reject(new NetworkError('timeout', `no answer within ${deadlineMs} ms`)),
        deadlineMs,
      );
      const end = (act: () => void): void => {
        clearTimeout(late);
        setTimeout(act, LATENCY_MS);
      };
      if (node.condition === 'down')
        return end(() => reject(new NetworkError('unreachable', 'the connection was refused')));
      if (node.condition === 'silent') return;
      setTimeout(() => {
        node.serve(from.person.nodeId, kind, body).then(
          (answer) => end(() => resolve(answer)),
          (error: Error) =>
            end(() =>
              reject(
                new NetworkError(
                  'remote',
                  error.message,
                  String((error as { code?: string }).code ?? 'internal'),
                ),
              ),
            ),
        );
      }, LATENCY_MS);
    });
  }

  // ---- what a test looks at

  /** The roots that the ledger's newest revision of the contract between two covers; empty without one. */
  covered(renter: MarketNode, host: MarketNode): readonly Hash[] {
    const live = this.contract(renter, host);
    const newest = live?.contract.roots.at(-1);
    if (live === undefined || newest === undefined || newest.leafCount === 0) return [];
    const list = host.store.get(`list/${live.id}/${newest.revision}`);
    if (list === undefined) throw new Error(`${host.person.name} does not know what it agreed to`);
    return decodeList(list);
  }

  contract(renter: MarketNode, host: MarketNode) {
    const id = this.ledger.state.read(PAIRS, pairKey(renter.person.accountId, host.person.ekId))?.contractId;
    const contract = id && this.ledger.contract(id);
    return id === undefined || contract === undefined ? undefined : { id, contract };
  }

  /** Fragments that a renter pays for though no file of it is there, as "host root". */
  async orphans(renter: MarketNode): Promise<readonly string[]> {
    const placed = new Set<string>();
    for await (const { slabs } of renter.files.all())
      for (const { fragments } of slabs)
        for (const { host, root } of fragments) placed.add(`${host} ${root}`);
    return this.hosts.flatMap((host) =>
      this.covered(renter, host)
        .map((root) => `${host.person.nodeId} ${root}`)
        .filter((name) => !placed.has(name)),
    );
  }

  /** The periods that a host missed, by the contracts that it has or had with a renter. */
  missed(host: MarketNode): readonly number[] {
    const own = new Set<ContractId>();
    for (const event of this.events)
      if (event.kind === 'contract-opened' && event.contract.hostAccountId === host.person.accountId)
        own.add(event.contractId);
    return this.events.flatMap((event) =>
      event.kind === 'period-missed' && own.has(event.contractId) ? [event.period] : [],
    );
  }

  /** Changes what a host offers. */
  async offer(host: MarketNode, offer: StorageOffer | undefined): Promise<void> {
    await this.finish(
      this.submitter(host).submit(announcement(host.person, this.hosts.indexOf(host), offer)),
    );
  }

  offerOf(host: MarketNode): StorageOffer | undefined {
    return this.ledger.state.read(NODES, host.person.nodeId)?.storageOffer;
  }
}

function announcement(
  person: Person,
  index: number,
  storageOffer: StorageOffer | undefined,
): TransactionBody {
  return { kind: 'announce', nodeId: person.nodeId, addresses: [`10.0.${index}.1:7000`], storageOffer };
}
