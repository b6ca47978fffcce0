import type { Genesis } from '../../ledger/genesis.ts';
import { Chain } from '../../node/ledger/chain/chain.ts';
import { SnapshotServer } from '../../node/ledger/snapshots/snapshot-serve.ts';
import { syncFromSnapshot } from '../../node/ledger/snapshots/snapshot-sync.ts';
import { serveBlocks } from '../../node/ledger/sync/block-fetch.ts';
import type { Network } from '../../node/network/network.ts';
import { openNetwork, silent } from './link-nodes.ts';
import { memoryTransport } from './memory-transport.ts';
import { until } from './until.ts';

/** A ledger and its links, without consensus: hands over what it has, and fetches snapshots when it is told to. */
export class LedgerPeer {
  static #count = 0;
  readonly folder: string;
  readonly chain: Chain;
  readonly links: Network;
  readonly snapshots: SnapshotServer;
  #closing: Promise<void> | undefined;

  private constructor(folder: string, chain: Chain, links: Network) {
    this.folder = folder;
    this.chain = chain;
    this.links = links;
    serveBlocks(links, chain, () => undefined);
    this.snapshots = new SnapshotServer(links, chain);
  }

  /** Opens the ledger in a folder and links it to others. */
  static async open(
    folder: string,
    genesis: Genesis,
    others: readonly { readonly links: Network }[] = [],
  ): Promise<LedgerPeer> {
    const chain = await Chain.open(folder, genesis);
    const links = await openNetwork(
      `ledger peer ${LedgerPeer.#count++}`,
      others.map((other) => other.links.address),
      chain.rules.chainId,
      [],
      memoryTransport,
    );
    await until(() => links.peers().length === others.length, 5_000, 'the links');
    return new LedgerPeer(folder, chain, links);
  }

  /** Takes over the newest state that the others have, when it is at least so many blocks ahead. */
  sync(behindMin: number, signal: AbortSignal = new AbortController().signal): Promise<boolean> {
    const { chain, links } = this;
    return syncFromSnapshot({ chain, network: links, logger: silent, signal, behindMin, waitMs: 1_000 });
  }

  close(): Promise<void> {
    this.#closing ??= this.links.close().then(() => this.chain.close());
    return this.#closing;
  }
}
