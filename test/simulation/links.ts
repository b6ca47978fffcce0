import type { NodeId } from '../../ledger/ids.ts';
import type { Agenda } from './agenda.ts';
import type { Observer } from './observer.ts';
import type { RandomStream } from './random.ts';
import type { Shape } from './shape.ts';

/** Links between simulated nodes: delay, loss, duplicates, stalls, clogging, and partitions, one-way ones too. Until they heal. */
export class Links<Message> {
  healed = false;
  readonly #agenda: Agenda;
  readonly #dice: RandomStream;
  readonly #shape: Shape;
  readonly #observer: Observer;
  readonly #deliver: (from: NodeId, to: NodeId, message: Message) => void;
  #sides: ReadonlyMap<NodeId, number> | undefined;
  /** Until when a link delivers nothing. */
  readonly #clogged = new Map<string, number>();

  constructor(
    agenda: Agenda,
    dice: RandomStream,
    shape: Shape,
    observer: Observer,
    deliver: (from: NodeId, to: NodeId, message: Message) => void,
  ) {
    this.#agenda = agenda;
    this.#dice = dice;
    this.#shape = shape;
    this.#observer = observer;
    this.#deliver = deliver;
  }

  get isSplit(): boolean {
    return this.#sides !== undefined;
  }

  split(sides: ReadonlyMap<NodeId, number>): void {
    this.#sides = sides;
    this.#observer.count('partitions');
  }

  join(): void {
    this.#sides = undefined;
  }

  /** Holds back whatever goes from one node to another for a while. */
  clog(from: NodeId, to: NodeId, forMs: number): void {
    this.#clogged.set(`${from} ${to}`, this.#agenda.nowMs + forMs);
    this.#observer.count('clogged links');
  }

  heal(): void {
    this.healed = true;
    this.#clogged.clear();
    this.join();
  }

  reaches(from: NodeId, to: NodeId): boolean {
    if (this.#sides === undefined) return true;
    const a = this.#sides.get(from) ?? 0;
    const b = this.#sides.get(to) ?? 0;
    return a === b || (this.#shape.oneWay && a < b);
  }

  loses(): boolean {
    return !this.healed && this.#dice.chance(this.#shape.loss);
  }

  delayMs(): number {
    return (
      this.#shape.linkMinMs +
      Math.floor(-Math.log(1 - this.#dice.next()) * this.#shape.linkMeanMs) +
      (!this.healed && this.#dice.chance(0.01) ? this.#dice.whole(100, 3_000) : 0)
    );
  }

  post(from: NodeId, to: NodeId, message: Message): void {
    if (!this.reaches(from, to) || this.loses()) return this.#observer.count('messages lost');
    const deliver = (): void => this.#deliver(from, to, message);
    const freeMs = this.#clogged.get(`${from} ${to}`) ?? 0;
    this.#agenda.at(Math.max(freeMs, this.#agenda.nowMs + this.delayMs()), deliver);
    if (!this.healed && this.#dice.chance(this.#shape.duplicates))
      this.#agenda.at(this.#agenda.nowMs + this.delayMs() + this.#dice.whole(0, 2_000), deliver);
  }
}
