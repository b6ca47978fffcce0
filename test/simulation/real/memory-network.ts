import { equalBytes } from '../../../ledger/bytes.ts';
import { decodeMessage, encodeMessage } from '../../../ledger/consensus/messages.ts';
import { LedgerError } from '../../../ledger/errors.ts';
import type { NodeId } from '../../../ledger/ids.ts';
import { KIND } from '../../../node/network/kinds.ts';
import type { Handler, Link } from '../../../node/network/link.ts';
import type { Network, PeerInfo, RequestOptions } from '../../../node/network/network.ts';
import { NetworkError } from '../../../node/network/network-error.ts';
import type { Agenda } from '../agenda.ts';
import type { Links } from '../links.ts';
import type { Observer } from '../observer.ts';
import type { Life, VirtualTime } from './virtual-time.ts';

/** The network of one process over simulated links: who is not linked to whom hears nothing of it, as with the real one. */

const REQUEST_MS = 10_000;
const SHUN_MS = 60_000;
const SEED_RETRY_MS = 500;

/** What travels between two nodes. `body` of an answer: nothing when the request was refused. */
export interface Packet {
  readonly type: 'notify' | 'request' | 'answer';
  readonly kind: number;
  readonly number: number;
  readonly body: Uint8Array | undefined;
}

/** A packet on the link that it was sent over: it ends with that. */
export interface Sent {
  readonly link: number;
  readonly packet: Packet;
}

/** One end of links. */
export interface Station {
  readonly id: NodeId;
  /** Whether it lets a node link to it. */
  welcomes(peer: NodeId): boolean;
  take(from: NodeId, packet: Packet): void;
  linked(peer: NodeId, state: 'connected' | 'disconnected'): void;
}

/** Who is up, and linked to whom. */
export class Switchboard {
  readonly #agenda: Agenda;
  readonly #links: Links<Sent>;
  readonly #stations = new Map<NodeId, Station>();
  /** Numbers of links, none of which ever comes again. */
  readonly #linked = new Map<string, number>();
  #number = 0;

  constructor(
    agenda: Agenda,
    links: (deliver: (from: NodeId, to: NodeId, sent: Sent) => void) => Links<Sent>,
  ) {
    this.#agenda = agenda;
    this.#links = links((from, to, { link, packet }) => {
      if (this.#linked.get(pair(from, to)) === link) this.#stations.get(to)?.take(from, packet);
    });
  }

  areLinked(a: NodeId, b: NodeId): boolean {
    return this.#linked.has(pair(a, b));
  }

  add(station: Station): void {
    this.#stations.set(station.id, station);
  }

  remove(id: NodeId): void {
    this.#stations.delete(id);
    for (const other of this.#stations.keys()) this.unlink(id, other);
  }

  unlink(a: NodeId, b: NodeId): void {
    if (!this.#linked.delete(pair(a, b))) return;
    this.#stations.get(a)?.linked(b, 'disconnected');
    this.#stations.get(b)?.linked(a, 'disconnected');
  }

  /** Links two nodes after a while, when both are up and see each other then. */
  dial(from: NodeId, to: NodeId): void {
    if (from === to || this.areLinked(from, to) || !this.#links.reaches(from, to)) return;
    this.#agenda.at(this.#agenda.nowMs + 2 * this.#links.delayMs(), () => {
      const [a, b] = [this.#stations.get(from), this.#stations.get(to)];
      if (a === undefined || b === undefined || this.areLinked(from, to)) return;
      if (!this.#links.reaches(from, to) || !this.#links.reaches(to, from)) return;
      if (!a.welcomes(to) || !b.welcomes(from)) return;
      this.#linked.set(pair(from, to), this.#number++);
      a.linked(to, 'connected');
      b.linked(from, 'connected');
    });
  }

  /** False when the two are not linked. */
  post(from: NodeId, to: NodeId, packet: Packet): boolean {
    const link = this.#linked.get(pair(from, to));
    if (link === undefined) return false;
    this.#links.post(from, to, { link, packet });
    return true;
  }
}

function pair(a: NodeId, b: NodeId): string {
  return a < b ? `${a} ${b}` : `${b} ${a}`;
}

export interface MemoryNetworkOptions {
  readonly id: NodeId;
  readonly life: Life;
  readonly time: VirtualTime;
  readonly agenda: Agenda;
  readonly switchboard: Switchboard;
  readonly observer: Observer;
  readonly seeds: readonly NodeId[];
  isHonest(peer: NodeId): boolean;
}

type Offered =
  | 'handle'
  | 'onPeer'
  | 'onTwin'
  | 'preferBy'
  | 'reach'
  | 'notify'
  | 'broadcast'
  | 'request'
  | 'peers'
  | 'connected'
  | 'shun'
  | 'isShunned';

export class MemoryNetwork implements Station, Pick<Network, Offered> {
  readonly id: NodeId;
  readonly #options: MemoryNetworkOptions;
  readonly #handlers = new Map<number, Handler>();
  readonly #listeners = new Set<(nodeId: NodeId, state: 'connected' | 'disconnected') => void>();
  /** Links as far as handlers see of them: something to remember a peer by. */
  readonly #peers = new Map<NodeId, Link>();
  readonly #shunned = new Map<NodeId, number>();
  readonly #asked = new Map<number, { resolve(body: Uint8Array): void; reject(error: Error): void }>();
  readonly #overheard = new WeakSet<Uint8Array>();
  #number = 0;

  constructor(options: MemoryNetworkOptions) {
    this.#options = options;
    this.id = options.id;
    options.switchboard.add(this);
    this.#keepSeeds();
  }

  /** What real code takes for the network. */
  get asNetwork(): Network {
    return this as unknown as Network;
  }

  #keepSeeds(): void {
    const { agenda, life, seeds, switchboard } = this.#options;
    if (life.ended) return;
    for (const seed of seeds) if (!this.isShunned(seed)) switchboard.dial(this.id, seed);
    agenda.at(agenda.nowMs + SEED_RETRY_MS, () => this.#keepSeeds());
  }

  // ---- the station

  welcomes(peer: NodeId): boolean {
    return !this.isShunned(peer);
  }

  linked(peer: NodeId, state: 'connected' | 'disconnected'): void {
    if (state === 'connected') this.#peers.set(peer, {} as Link);
    else this.#peers.delete(peer);
    const { time, life } = this.#options;
    time.enter(life, () => {
      for (const listener of this.#listeners) listener(peer, state);
    });
  }

  take(from: NodeId, packet: Packet): void {
    const { time, life, observer } = this.#options;
    time.enter(life, () => {
      const { type, kind, number, body } = packet;
      if (type === 'answer') {
        const asked = this.#asked.get(number);
        this.#asked.delete(number);
        if (body === undefined) asked?.reject(new NetworkError('remote', 'the request was refused'));
        else asked?.resolve(body);
        return;
      }
      const handler = this.#handlers.get(kind);
      if (handler === undefined || body === undefined) return;
      if (body.length > handler.bodyBytesMax) return observer.violate(`${body.length} bytes of kind ${kind}`);
      const link = this.#peers.get(from);
      if (link !== undefined) void this.#answer(handler, from, link, packet, body);
    });
  }

  async #answer(
    handler: Handler,
    from: NodeId,
    link: Link,
    { type, kind, number }: Packet,
    body: Uint8Array,
  ) {
    let answer: Uint8Array | undefined;
    try {
      answer = (await handler.handle(from, body, link)) ?? new Uint8Array(0);
    } catch (error) {
      if (!(error instanceof LedgerError) && !(error instanceof NetworkError))
        this.#options.observer.violate(`a handler of kind ${kind} fails: ${(error as Error).stack}`);
    }
    if (type === 'request')
      this.#options.switchboard.post(this.id, from, { type: 'answer', kind, number, body: answer });
  }

  // ---- the network

  handle(kind: number, bodyBytesMax: number, handle: Handler['handle']): void {
    this.#handlers.set(kind, { bodyBytesMax, handle });
  }

  onPeer(listener: (nodeId: NodeId, state: 'connected' | 'disconnected') => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Nobody here runs twice under one name: the other half of a twin has no links of its own. */
  onTwin(): () => void {
    return () => undefined;
  }

  preferBy(): void {}

  peers(): readonly PeerInfo[] {
    return [...this.#peers.keys()].map((nodeId) => ({
      nodeId,
      address: nodeId,
      direction: 'outbound',
      connectedMs: 0,
      bytesIn: 0,
      bytesOut: 0,
      roundTripMs: undefined,
    }));
  }

  connected(peer: NodeId): boolean {
    return this.#peers.has(peer);
  }

  reach(peer: NodeId): void {
    if (!this.isShunned(peer)) this.#options.switchboard.dial(this.id, peer);
  }

  notify(peer: NodeId, kind: number, body: Uint8Array): void {
    if (kind === KIND.consensus && this.connected(peer)) this.#overhear(body);
    this.#options.switchboard.post(this.id, peer, { type: 'notify', kind, number: 0, body });
  }

  broadcast(kind: number, body: Uint8Array, except?: NodeId): void {
    for (const peer of this.#peers.keys()) if (peer !== except) this.notify(peer, kind, body);
  }

  request(peer: NodeId, kind: number, body: Uint8Array, options: RequestOptions = {}): Promise<Uint8Array> {
    const number = this.#number++;
    return new Promise((resolve, reject) => {
      if (!this.#options.switchboard.post(this.id, peer, { type: 'request', kind, number, body })) {
        this.reach(peer);
        reject(new NetworkError('unreachable', 'there is no link to it'));
        return;
      }
      const timer = setTimeout(() => {
        this.#asked.delete(number);
        reject(new NetworkError('timeout', 'no answer'));
      }, options.deadlineMs ?? REQUEST_MS);
      const end = <T>(run: (value: T) => void) => {
        return (value: T): void => {
          clearTimeout(timer);
          run(value);
        };
      };
      this.#asked.set(number, { resolve: end(resolve), reject: end(reject) });
    });
  }

  shun(peer: NodeId, reason: string): void {
    const { observer, agenda, switchboard, isHonest } = this.#options;
    observer.count('peers shunned');
    if (isHonest(peer)) observer.violate(`an honest peer is shunned: ${reason}`);
    this.#shunned.set(peer, agenda.nowMs + SHUN_MS);
    switchboard.unlink(this.id, peer);
  }

  isShunned(peer: NodeId): boolean {
    return this.#options.agenda.nowMs < (this.#shunned.get(peer) ?? 0);
  }

  /** Every message must have one form, and every vote in it is held against the others of this node. */
  #overhear(body: Uint8Array): void {
    const { observer } = this.#options;
    if (this.#overheard.has(body)) return;
    this.#overheard.add(body);
    const message = decodeMessage(body);
    if (!equalBytes(encodeMessage(message), body)) observer.violate('a message has two forms');
    observer.said(this.id, message, true);
  }
}
