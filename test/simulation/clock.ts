import type { Agenda } from './agenda.ts';

/** A node's own clock: off by some, running too fast or too slow, until it is set right. */
export class NodeClock {
  readonly #agenda: Agenda;
  #offsetMs = 0;
  #sinceMs = 0;
  #drift = 0;

  constructor(agenda: Agenda) {
    this.#agenda = agenda;
  }

  /** How far it is off now. */
  get #skewMs(): number {
    return this.#offsetMs + Math.round((this.#agenda.nowMs - this.#sinceMs) * this.#drift);
  }

  get nowMs(): number {
    return Math.max(0, this.#agenda.nowMs + this.#skewMs);
  }

  /** When it will about show a time. */
  worldMs(ownMs: number): number {
    return ownMs - this.#skewMs;
  }

  /** Jumps. `drift`: seconds it goes ahead each second from then on. */
  set(offsetMs: number, drift = this.#drift): void {
    this.#offsetMs = offsetMs;
    this.#sinceMs = this.#agenda.nowMs;
    this.#drift = drift;
  }
}
