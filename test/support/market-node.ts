import { sha256 } from '../../ledger/crypto/sha256.ts';
import type { NodeId } from '../../ledger/ids.ts';
import { NODES } from '../../ledger/state/entities.ts';
import type { LedgerEvent } from '../../ledger/state/events.ts';
import { contractFollower } from '../../market/contract-follower.ts';
import type { SlabCoder } from '../../market/files/slab-pool.ts';
import { Host } from '../../market/host/host.ts';
import type { KeyValues, MarketWallet } from '../../market/interfaces.ts';
import { Contractor } from '../../market/renter/contractor.ts';
import { FileStore } from '../../market/renter/file-store.ts';
import { HostBook } from '../../market/renter/host-book.ts';
import type { AuditRecord } from '../../market/scheduler/audits.ts';
import { LocalQueue } from '../../market/scheduler/local-queue.ts';
import { Scheduler } from '../../market/scheduler/scheduler.ts';
import { hostLink, serveHost } from '../../node/market/host-protocol.ts';
import type { LedgerWorld, Person } from './ledger-world.ts';
import { LedgerWorldView } from './ledger-world-view.ts';
import { MemoryShelf, MemoryStore } from './memory-storage.ts';

const DERIVES_PER_PERIOD = 8;
const REQUEST_MS = 10_000;

type Serve = (peer: NodeId, body: Uint8Array) => Promise<Uint8Array | undefined> | Uint8Array | undefined;

/** What is carried out by a node and may be where it crashes. */
export interface Step {
  readonly what: 'write' | 'request' | 'submit';
  readonly detail: string;
}

/** The world around a node. */
export interface Surroundings {
  readonly ledger: LedgerWorld;
  readonly coder: SlabCoder;
  /** Everything that became final so far. */
  readonly events: readonly LedgerEvent[];
  at(nodeId: NodeId): MarketNode;
  submitter(node: MarketNode): MarketWallet;
  carry(
    from: MarketNode,
    to: NodeId,
    kind: number,
    body: Uint8Array,
    deadlineMs: number,
  ): Promise<Uint8Array>;
}

/** What of a node dies with its process. */
interface Life {
  readonly files: FileStore;
  readonly contractor: Contractor;
  readonly book: HostBook;
  readonly host: Host;
  readonly scheduler: Scheduler;
  readonly queue: LocalQueue;
  readonly handlers: ReadonlyMap<number, Serve>;
  readonly follow: (events: readonly LedgerEvent[]) => Promise<void>;
}

const never = <T>(): Promise<T> => new Promise<T>(() => undefined);

/** One node of a market world: the real market, over storage that outlives it. */
export class MarketNode {
  readonly person: Person;
  readonly store = new MemoryStore();
  readonly shelf = new MemoryShelf(() => Date.now());
  /** Silent: connected, and answers nothing. */
  condition: 'up' | 'silent' | 'down' = 'down';
  /** How long what an interrupted upload has placed is kept. */
  resumeMs = 12_000;
  /** A note that is longer is folded into a snapshot. */
  noteBytes: number | undefined;
  /** Breaks ties between hosts; the same way every time, unless a test wants another. */
  chance: () => number = () => 0;
  /** What it refuses, by the kind of message; a host's mood. */
  refuses: (kind: number) => Error | undefined = () => undefined;
  /** Steps that it took since it began to count. */
  steps: Step[] = [];
  readonly #world: Surroundings;
  /** Events that its market was told of, in this life or before. */
  #told = 0;
  #life: Life | undefined;
  #kill = new AbortController();
  /** Counts down with every step; the node crashes when it reaches zero. */
  #fuse = Number.POSITIVE_INFINITY;

  constructor(person: Person, world: Surroundings) {
    this.person = person;
    this.#world = world;
  }

  get #alive(): Life {
    if (this.#life === undefined) throw new Error(`${this.person.name} is down`);
    return this.#life;
  }

  get files(): FileStore {
    return this.#alive.files;
  }
  get contractor(): Contractor {
    return this.#alive.contractor;
  }
  get book(): HostBook {
    return this.#alive.book;
  }
  get host(): Host {
    return this.#alive.host;
  }
  get scheduler(): Scheduler {
    return this.#alive.scheduler;
  }
  get queue(): LocalQueue {
    return this.#alive.queue;
  }

  audits(of: MarketNode): readonly AuditRecord[] {
    return this.scheduler.audits().filter(({ host }) => host === of.person.nodeId);
  }

  /** Starts the node over what its disk has. */
  async start(): Promise<void> {
    const { person, shelf } = this;
    const world = this.#world;
    const dead = new AbortController();
    const isDead = (): boolean => dead.signal.aborted;
    // A step is where a crash can come: before it, or when it has happened and nobody has learned of it.
    const step = async <T>(what: Step['what'], detail: string, act: () => Promise<T>): Promise<T> => {
      if (isDead()) return never();
      this.steps.push({ what, detail });
      if (this.#burn()) return never();
      const acting = act();
      acting.catch(() => undefined); // Nobody may be left to hear of it.
      if (this.#burn()) return never();
      const [outcome] = await Promise.allSettled([acting]);
      if (isDead()) return never();
      if (outcome.status === 'rejected') throw outcome.reason;
      return outcome.value;
    };

    const store: KeyValues = {
      get: (key) => this.store.get(key),
      range: (...asked) => (isDead() ? never() : this.store.range(...asked)),
      write: (changes) =>
        step('write', changes.map(({ key }) => key).join(' '), () => this.store.write(changes)),
    };
    const submitter = world.submitter(this);
    const wallet: MarketWallet = {
      submit: (body) => step('submit', body.kind, () => submitter.submit(body)),
    };
    const link = hostLink({
      connected: (peer) => world.at(peer).condition !== 'down',
      request: (peer, kind, body, options = {}) =>
        step('request', String(kind), () =>
          world.carry(this, peer, kind, body, options.deadlineMs ?? REQUEST_MS),
        ),
    });
    const ledger = new LedgerWorldView(world.ledger, person, () => Date.now());
    const book = new HostBook(store, ledger);
    const contractor = new Contractor({ ledger, wallet, link, store, accountSecret: person.accountSecret });
    const now = () => Date.now();
    const files = new FileStore({
      ledger,
      link,
      store,
      contractor,
      book,
      pool: world.coder,
      filesSecret: sha256(person.accountSecret),
      resumeMs: this.resumeMs,
      noteBytes: this.noteBytes,
      now,
      random: () => this.chance(),
    });
    const host = new Host({ ledger, shelf, store, nodeSecret: person.nodeSecret, now });
    const { periodMs } = ledger.parameters;
    const scheduler = new Scheduler({
      ledger,
      wallet,
      link,
      store,
      host,
      files,
      contractor,
      book,
      accountSecret: person.accountSecret,
      periodMs,
      now,
      onAudit: () => undefined,
    });
    const queue = new LocalQueue(
      (job, signal) => (isDead() ? never() : scheduler.run(job, signal)),
      now,
      () => undefined,
    );
    const handlers = new Map<number, Serve>();
    serveHost(
      {
        handle: (kind, _, handle) =>
          handlers.set(kind, (peer, body) => handle(peer, body, undefined as never)),
      },
      host,
      (nodeId) => world.ledger.state.read(NODES, nodeId)?.ownerId,
      (receipt) => scheduler.receive(receipt),
    );
    const fail = (error: unknown): void => {
      throw error;
    };
    const follow = contractFollower({ ledger, host, scheduler, onError: fail });
    const timer = setInterval(() => {
      if (!isDead()) void scheduler.derive();
    }, periodMs / DERIVES_PER_PERIOD);
    dead.signal.addEventListener('abort', () => clearInterval(timer));
    this.#life = { files, contractor, book, host, scheduler, queue, handlers, follow };
    this.#kill = dead;
    this.condition = 'up';
    await host.open();
    await files.open();
    await scheduler.open(queue);
    this.follow();
  }

  /** The process dies: what it was doing never ends, what its disk has stays. */
  crash(): void {
    this.#kill.abort();
    this.#life = undefined;
    this.condition = 'down';
    this.#fuse = Number.POSITIVE_INFINITY;
  }

  async restart(): Promise<void> {
    this.crash();
    await this.start();
  }

  /** Will crash at a half-step from now: an odd one is before a step happens, an even one when it has. */
  crashAfter(halfSteps: number): void {
    this.#fuse = halfSteps;
  }

  #burn(): boolean {
    if (--this.#fuse > 0) return false;
    this.crash();
    return true;
  }

  /** Takes up what became final since it last did; a node that was down catches up. */
  follow(): void {
    if (this.#life === undefined) return;
    const { events } = this.#world;
    void this.#life.follow(events.slice(this.#told));
    this.#told = events.length;
  }

  /** Answers a request, as this node's process would. */
  async serve(peer: NodeId, kind: number, body: Uint8Array): Promise<Uint8Array> {
    const handle = this.#life?.handlers.get(kind);
    if (handle === undefined) return never();
    const refusal = this.refuses(kind);
    if (refusal !== undefined) throw refusal;
    return (await handle(peer, body)) ?? new Uint8Array(0);
  }
}
