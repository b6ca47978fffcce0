import { setMaxListeners } from 'node:events';
import type { Logger } from 'pino';
import type { ChainId, NodeId } from '../../ledger/ids.ts';
import { BulkLinks } from './bulk-links.ts';
import { within } from './deadline.ts';
import { type Dialled, Dialler } from './dialler.ts';
import { Directory, type RecordStore } from './directory.ts';
import {
  answerHello,
  type Caller,
  challengeOf,
  identityOf,
  type Purpose,
  TwinMet,
  type Verdict,
} from './hello.ts';
import { KIND } from './kinds.ts';
import { BODY_BYTES_MAX, type Gate, type Handler, Link } from './link.ts';
import { NetworkError } from './network-error.ts';
import { RECORD_BYTES_MAX, RECORDS_MAX } from './node-record.ts';
import { PeerLinks, type PeerListener } from './peer-links.ts';
import { PLACES_MAX, Places } from './places.ts';
import { RecordGossip } from './record-gossip.ts';
import { Seeds } from './seeds.ts';
import { ADDRESS_BYTES_MAX, CHALLENGE_BYTES, type Identity, type Rival, SIGNED_BYTES } from './session.ts';
import { ShunList } from './shun-list.ts';
import { tlsTransport } from './tls-transport.ts';
import type { Channel, Door, Transport } from './transport.ts';
import { rivalAt, type TwinSighting, Twins } from './twins.ts';

/** Links to other nodes: one connection a peer for small requests and gossip, a small pool a peer for bulk. */

/** Answers that were not yet sent, of all connections; beyond, strangers are asked to come back. */
const UNSENT_BYTES_MAX = 256 * 1_048_576;
const REQUEST_MS = 10_000;

export interface NetworkOptions {
  readonly chainId: ChainId;
  readonly nodeSecret: Uint8Array;
  readonly host: string;
  readonly port: number;
  /** Addresses that others are told; by default the listening port on every host that was dialled is not guessed. */
  readonly advertise: readonly string[];
  /** Addresses to keep connected to. */
  readonly seeds: readonly string[];
  /** Keeps node records over restarts. */
  readonly records: RecordStore;
  readonly logger: Logger;
  /** TLS over TCP, unless told. */
  readonly transport?: Transport;
}

export interface PeerInfo {
  readonly nodeId: NodeId;
  readonly address: string;
  readonly direction: 'inbound' | 'outbound';
  readonly connectedMs: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly roundTripMs: number | undefined;
}

export interface RequestOptions {
  readonly deadlineMs?: number;
  /** Over a connection of its own from the pool: for large bodies either way. */
  readonly bulk?: boolean;
}

export class Network {
  readonly #self: Identity;
  readonly #directory: Directory;
  readonly #handlers = new Map<number, Handler>();
  readonly #links: PeerLinks;
  readonly #bulk = new BulkLinks(async (peer, onClose) =>
    this.#link(await this.#dialPeer(peer, 'bulk'), true, 'bulk', onClose),
  );
  readonly #places: Places;
  readonly #twins: Twins;
  readonly #seeds: Seeds;
  readonly #dialler: Dialler;
  readonly #dialing = new Map<NodeId, Promise<Link>>();
  readonly #shunned = new ShunList();
  readonly #abort = new AbortController();
  readonly #logger: Logger;
  #door: Door | undefined;
  #gate: Gate = () => undefined;
  readonly #roomFor = (link: Link): boolean =>
    this.#places.prefers(link.peer) ||
    [...this.#links.all(), ...this.#bulk.inbound].reduce((sum, { unsentBytes }) => sum + unsentBytes, 0) <
      UNSENT_BYTES_MAX;
  readonly #gated: Gate = (link, kind, body) => this.#gate(link, kind, body);

  private constructor(options: NetworkOptions) {
    const { signal } = this.#abort;
    const { logger, transport = tlsTransport } = options;
    // Every dial and every wait for a peer hears of the end; the bounds on peers and pools are theirs, too.
    setMaxListeners(0, signal);
    this.#self = identityOf(options.chainId, options.nodeSecret);
    this.#logger = logger;
    this.#links = new PeerLinks(this.nodeId);
    this.#twins = new Twins(this.#self, ({ refused, address }) =>
      logger.error({ refused, address }, 'another node runs with the keys of this one: stop one of them'),
    );
    this.#dialler = new Dialler(transport, this.#self, signal, (met) => this.#metTwin(met));
    this.#directory = new Directory({
      chainId: options.chainId,
      nodeId: this.nodeId,
      nodeSecret: options.nodeSecret,
      advertise: options.advertise,
      store: options.records,
      keep: (nodeId) => this.#links.has(nodeId),
      onSaveFailed: (error) =>
        logger.warn({ reason: (error as Error).message }, 'the node records could not be saved'),
    });
    this.#seeds = new Seeds({
      signal,
      openLink: (peer) => this.#links.open(peer),
      lost: (peer) => this.#links.gone(peer, signal),
      link: (address) => this.#linkAt(address),
      onFailed: (address, { message }) =>
        logger.debug({ address, reason: message }, 'a node was not reached'),
    });
    this.#places = new Places({
      links: this.#links,
      bulk: this.#bulk,
      isSeed: (peer) => this.#seeds.has(peer),
    });
    const gossip = new RecordGossip({
      directory: this.#directory,
      signal,
      pass: (message, from) => this.broadcast(KIND.records, message, from.peer),
      onRefused: ({ peer }, reason) => logger.debug({ peer, reason }, 'a node record was refused'),
    });
    this.handle(KIND.testimony, CHALLENGE_BYTES, (_, challenge) => this.#twins.testify(challenge));
    this.handle(KIND.twin, CHALLENGE_BYTES + SIGNED_BYTES + ADDRESS_BYTES_MAX, (_, body) => {
      this.#twins.told(body);
      return undefined;
    });
    this.handle(KIND.records, RECORD_BYTES_MAX * RECORDS_MAX, (_, body, link) => gossip.receive(body, link));
  }

  /** Listens and begins to connect. Throws NetworkError `address-in-use`. */
  static async open(options: NetworkOptions): Promise<Network> {
    const network = new Network(options);
    const { transport = tlsTransport, host, port, seeds } = options;
    network.#door = await transport.listen({
      host,
      port,
      connectionsMax: PLACES_MAX,
      welcome: (channel) => network.#welcome(channel),
    });
    for (const seed of seeds) void network.#seeds.keep(seed);
    return network;
  }

  get nodeId(): NodeId {
    return this.#self.nodeId;
  }

  /** host:port on which it listens. */
  get address(): string {
    return this.#door?.address ?? '';
  }

  peers(): readonly PeerInfo[] {
    return this.#links.all().map((link) => {
      const bulk = this.#bulk.bytes(link.peer);
      return {
        nodeId: link.peer,
        address: link.address,
        direction: link.outbound ? 'outbound' : 'inbound',
        connectedMs: link.connectedMs,
        bytesIn: link.bytesIn + bulk.in,
        bytesOut: link.bytesOut + bulk.out,
        roundTripMs: link.roundTripMs,
      };
    });
  }

  connected(nodeId: NodeId): boolean {
    return this.#links.has(nodeId);
  }

  /** Addresses that a node has signed for. */
  addressesOf(nodeId: NodeId): readonly string[] {
    return this.#directory.addressesOf(nodeId);
  }

  onPeer(listener: PeerListener): () => void {
    return this.#links.onPeer(listener);
  }

  /** Another node that runs with the key of this one, when it was met a moment ago. */
  get twin(): TwinSighting | undefined {
    return this.#twins.sighting;
  }

  /** Called whenever another node with the key of this one is met, or peers prove that they know of one. */
  onTwin(listener: (sighting: TwinSighting) => void): () => void {
    return this.#twins.onMet(listener);
  }

  /** Registers what answers a kind of message. Must be done before peers send it. */
  handle(kind: number, bodyBytesMax: number, handle: Handler['handle']): void {
    this.#handlers.set(kind, { bodyBytesMax: Math.min(bodyBytesMax, BODY_BYTES_MAX), handle });
  }

  /** Sets whom to keep a place for: members of the committee, nodes with a claimed TPM. */
  preferBy(prefers: (peer: NodeId) => boolean): void {
    this.#places.preferBy(prefers);
  }

  /** Sets who may use which kind of message; everybody may use all without. Holds for open links too. */
  admitBy(gate: Gate): void {
    this.#gate = gate;
  }

  notify(peer: NodeId, kind: number, body: Uint8Array): void {
    this.#links.get(peer)?.notify(kind, body);
  }

  broadcast(kind: number, body: Uint8Array, except?: NodeId): void {
    for (const link of this.#links.all()) if (link.peer !== except) link.notify(kind, body);
  }

  /** Links to a node whose address is known, when there is no link; whether it works is heard by `onPeer`. */
  reach(peer: NodeId): void {
    if (this.#links.open(peer) === undefined && this.#dialable(peer).length > 0)
      this.#linkTo(peer).catch((error: unknown) => {
        if (!(error instanceof NetworkError)) throw error;
      });
  }

  /** Asks a node, dialling it when need be. Throws NetworkError. */
  async request(
    peer: NodeId,
    kind: number,
    body: Uint8Array,
    options: RequestOptions = {},
  ): Promise<Uint8Array> {
    const deadlineMs = options.deadlineMs ?? REQUEST_MS;
    // A node that says no address of its own cannot be dialled: the link that it opened carries its transfers too.
    if (options.bulk === true && this.#dialable(peer).length > 0)
      return this.#bulk.poolOf(peer).request(kind, body, deadlineMs);
    const endMs = performance.now() + deadlineMs;
    const link = this.#links.open(peer) ?? (await within(deadlineMs, this.#linkTo(peer)));
    return link.request(kind, body, Math.max(1, endMs - performance.now()));
  }

  /** Ends the connections of a peer that misbehaves, and takes and makes none for a while. */
  shun(peer: NodeId, reason: string): void {
    this.#shunned.add(peer, performance.now());
    this.#logger.warn({ peer, reason }, 'a node misbehaves and is shunned for a while');
    this.#links.close(peer);
    this.#bulk.end(peer);
  }

  /** Whether nothing is heard of a peer for a while because it misbehaved. */
  isShunned(peer: NodeId): boolean {
    return this.#shunned.has(peer, performance.now());
  }

  async close(): Promise<void> {
    this.#abort.abort();
    this.#links.close();
    this.#bulk.close();
    this.#directory.close();
    await this.#door?.close();
  }

  // ---- connections that come in

  async #welcome(channel: Channel): Promise<void> {
    try {
      const { address } = channel;
      const caller = await answerHello(channel, this.#self, (calling) => this.#judge(calling, address));
      const { peer, session, purpose } = caller;
      const place = this.#abort.signal.aborted ? undefined : this.#placeFor(peer, purpose, address);
      if (place === undefined) return void channel.stream.destroy();
      if (place !== 'free') place.close();
      if (purpose === 'link') return void this.#adopt({ channel, peer, session }, false);
      const link = this.#link({ channel, peer, session }, false, 'bulk', (closed) => this.#bulk.lost(closed));
      this.#bulk.cameIn(link);
    } catch (error) {
      if (error instanceof TwinMet) this.#metTwin(error);
      this.#logger.debug(
        { address: channel.address, reason: (error as Error).message },
        'a connection was refused',
      );
      channel.closeSoon();
    }
  }

  async #judge(caller: Caller, address: string): Promise<Verdict> {
    if (this.#placeFor(caller.peer, caller.purpose, address) === undefined) return 'refused';
    const rival = await this.#rivalOf(caller);
    return rival === 'unclear' ? 'refused' : (rival ?? 'welcome');
  }

  /** Another session of a peer that is linked and lives; one that does not is over with. */
  async #rivalOf({
    peer,
    session,
    challenge,
  }: Omit<Caller, 'purpose'>): Promise<Rival | 'unclear' | undefined> {
    const link = this.#links.open(peer);
    if (link === undefined || link.session === session) return undefined;
    const rival = await rivalAt(link, this.#self.chainId, challenge);
    if (rival !== 'silent') return rival;
    this.#links.end(link);
    this.#bulk.end(peer, link.session);
    return undefined;
  }

  #metTwin({ refused, address }: TwinMet): void {
    this.#twins.met(refused, address);
  }

  #placeFor(peer: NodeId, purpose: Purpose, address: string): 'free' | Link | undefined {
    return this.isShunned(peer) ? undefined : this.#places.inbound(peer, purpose, address);
  }

  #link(
    { channel, peer, session }: Dialled,
    outbound: boolean,
    purpose: Purpose,
    onClose: (link: Link) => void,
  ): Link {
    return new Link(channel, {
      peer,
      session,
      outbound,
      purpose,
      handlers: this.#handlers,
      gate: this.#gated,
      roomFor: this.#roomFor,
      onClose,
    });
  }

  /** Makes a connection the link to its peer, and gives the link that counts: another, when two have crossed. */
  #adopt(dialled: Dialled, outbound: boolean): Link {
    const { peer } = dialled;
    const link = this.#link(dialled, outbound, 'link', (closed) => this.#links.lost(closed));
    const counts = this.#links.adopt(link);
    if (counts !== link) return counts;
    this.#dialler.forgive(this.addressesOf(peer));
    for (const message of this.#directory.greeting()) link.notify(KIND.records, message);
    return link;
  }

  // ---- connections that go out

  async #linkAt(address: string): Promise<NodeId> {
    const dialled = await this.#dialler.dial(address, 'link');
    if (this.isShunned(dialled.peer)) dialled.channel.stream.destroy();
    else this.#adopt(await this.#withoutRival(dialled), true);
    return dialled.peer;
  }

  #linkTo(peer: NodeId): Promise<Link> {
    const open = this.#dialing.get(peer);
    if (open !== undefined) return open;
    const attempt = this.#dialPeer(peer, 'link')
      .then((dialled) => {
        this.#places.makeRoomFor(peer);
        return this.#adopt(dialled, true);
      })
      .finally(() => this.#dialing.delete(peer));
    this.#dialing.set(peer, attempt);
    return attempt;
  }

  /** Addresses of a peer: those that it signed for, and the one where it was reached. */
  #dialable(peer: NodeId): readonly string[] {
    const link = this.#links.open(peer);
    const signed = this.addressesOf(peer);
    return link?.outbound === true && !signed.includes(link.address) ? [...signed, link.address] : signed;
  }

  async #dialPeer(peer: NodeId, purpose: Purpose): Promise<Dialled> {
    if (this.isShunned(peer)) throw new NetworkError('unreachable', 'the node misbehaved and is shunned');
    return this.#withoutRival(await this.#dialler.dialPeer(peer, this.#dialable(peer), purpose));
  }

  /** A connection, unless another session of the peer than that at its other end is linked and lives. Throws NetworkError. */
  async #withoutRival(dialled: Dialled): Promise<Dialled> {
    const { channel, peer, session } = dialled;
    const rival = await this.#rivalOf({ peer, session, challenge: challengeOf(channel) });
    if (rival === undefined) return dialled;
    channel.stream.destroy();
    throw new NetworkError('refused', 'another node with the same key is linked and lives');
  }
}
