import { concat, u16, u32 } from '../../../ledger/bytes.ts';
import { decodeMessage } from '../../../ledger/consensus/messages.ts';
import { type BlockId, hashId, type NodeId } from '../../../ledger/ids.ts';
import { KIND } from '../../../node/network/kinds.ts';
import type { ByzantineNode } from '../byzantine.ts';
import type { Observer } from '../observer.ts';
import type { RandomStream } from '../random.ts';
import type { FalseBlocks } from './false-blocks.ts';
import type { Packet, Station, Switchboard } from './memory-network.ts';

/** A misbehaving member on the real network: hears everything, gives out its own blocks, and rubbish for others'. */

const RUBBISH_CHANCE = 0.2;

export interface ByzantineStationOptions {
  readonly id: NodeId;
  readonly node: ByzantineNode;
  readonly blocks: FalseBlocks;
  readonly switchboard: Switchboard;
  readonly dice: RandomStream;
  readonly observer: Observer;
}

export class ByzantineStation implements Station {
  readonly id: NodeId;
  readonly #options: ByzantineStationOptions;

  constructor(options: ByzantineStationOptions) {
    this.id = options.id;
    this.#options = options;
    options.switchboard.add(this);
  }

  welcomes(): boolean {
    return true;
  }

  linked(): void {}

  take(from: NodeId, { type, kind, number, body }: Packet): void {
    if (body === undefined) return;
    const { node, blocks, switchboard, dice, observer } = this.#options;
    if (kind === KIND.transaction) blocks.hear(body);
    if (kind === KIND.consensus) {
      const message = decodeMessage(body);
      if (message.kind === 'proposal') blocks.learn(message.header);
      node.receive(message);
    }
    if (type !== 'request') return;
    const rubbish = dice.chance(RUBBISH_CHANCE);
    if (rubbish) observer.count('rubbish for an answer');
    const answer = rubbish ? body : this.#answer(kind, body);
    if (answer !== undefined) switchboard.post(this.id, from, { type: 'answer', kind, number, body: answer });
  }

  /** Nothing for what it does not know: who asked waits in vain. */
  #answer(kind: number, body: Uint8Array): Uint8Array | undefined {
    if (kind === KIND.getHeaders) return this.#headers(body);
    return kind === KIND.getBlocks ? this.#blocks(body) : undefined;
  }

  /** One header: id 32 | u16 count. */
  #headers(body: Uint8Array): Uint8Array | undefined {
    return this.#options.blocks.headerBytes(hashId<BlockId>(body.subarray(0, 32)));
  }

  /** The first block: u16 count | id 32 each. */
  #blocks(body: Uint8Array): Uint8Array | undefined {
    const block = this.#options.blocks.blockBytes(hashId<BlockId>(body.subarray(2, 34)));
    return block && concat(u16(1), u32(block.length), block);
  }
}
