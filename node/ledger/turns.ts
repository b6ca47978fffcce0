import { Breather } from '../breather.ts';

/**
 * One thing after another: the events that are taken, and what runs between two of them. What waits for peers runs aside
 * and comes back as an event, or asks for a turn.
 */

/** Events that may be lost wait in such a number at most; the others are few. */
const WAITING_MAX = 50_000;

export interface TurnsOptions<Event> {
  /** Ends it: nothing is taken up any more, and who waits for a turn hears why. */
  readonly signal: AbortSignal;
  /** Whether an event may be lost when too many wait. */
  mayLose(event: Event): boolean;
  take(event: Event): Promise<void>;
  /** Called when nothing waits; gives what is to be taken before it rests. */
  rest(): Event | undefined;
  /** What a turn threw; nothing is taken up after it. */
  failed(error: unknown): void;
}

type Turn<Event> =
  | { readonly kind: 'event'; readonly event: Event }
  | { readonly kind: 'run'; readonly run: () => Promise<void> };

export class Turns<Event> {
  readonly #options: TurnsOptions<Event>;
  readonly #waiting: Turn<Event>[] = [];
  #busy = false;
  #running: Promise<void> | undefined;

  constructor(options: TurnsOptions<Event>) {
    this.#options = options;
  }

  /** Has an event taken after all that wait. */
  post(event: Event): void {
    if (this.#waiting.length >= WAITING_MAX && this.#options.mayLose(event)) return;
    this.#push({ kind: 'event', event });
  }

  /** Has an event taken before all that wait. Only for who has the turn. */
  postNext(event: Event): void {
    this.#waiting.unshift({ kind: 'event', event });
  }

  /** Runs something between two events. Rejects with what it throws, or with the reason of the signal. */
  inTurn<T>(run: () => Promise<T>): Promise<T> {
    const { signal } = this.#options;
    return new Promise((resolve, reject) => {
      const ended = (): void => reject(signal.reason);
      if (signal.aborted) return ended();
      signal.addEventListener('abort', ended, { once: true });
      const over = (): void => signal.removeEventListener('abort', ended);
      this.#push({ kind: 'run', run: () => run().then(resolve, reject).finally(over) });
    });
  }

  /** When nothing has the turn any more; the signal ends it. */
  async ended(): Promise<void> {
    await this.#running;
  }

  #push(turn: Turn<Event>): void {
    if (this.#options.signal.aborted) return;
    this.#waiting.push(turn);
    if (this.#busy) return;
    // Set before the loop starts, since its first step runs at once and may post.
    this.#busy = true;
    this.#running = this.#run();
  }

  async #run(): Promise<void> {
    const { take, rest, failed, signal } = this.#options;
    const breather = new Breather();
    try {
      for (;;) {
        const turn = this.#waiting.shift();
        if (turn === undefined) {
          const last = rest();
          if (last !== undefined) this.#waiting.push({ kind: 'event', event: last });
          if (this.#waiting.length > 0) continue;
          break;
        }
        // A flood of events must leave room for everything else that this process does.
        if (breather.due) await breather.breathe();
        if (turn.kind === 'run') await turn.run();
        else await take(turn.event);
      }
      this.#busy = false;
    } catch (error) {
      if (!signal.aborted) failed(error);
    }
  }
}
