import { AsyncLocalStorage, createHook } from 'node:async_hooks';
import { syncBuiltinESMExports } from 'node:module';
import timersPromises from 'node:timers/promises';
import type { Agenda } from '../agenda.ts';
import type { NodeClock } from '../clock.ts';

/**
 * Real code on virtual time: clocks and timers of this process are those of an agenda for whatever runs in a life, and
 * what LevelDB and the file system do is awaited before the agenda goes on. So one seed always gives one history.
 */

/** The time of day at which the agenda begins. */
export const DAWN_MS = 1_700_000_000_000;
/** Between the monotonic clocks of two runs: nothing that one remembers is of the time of the other. */
const APART_MS = 1_000_000_000;
/** What is still under way after this long of real time will never end. */
const STUCK_MS = 20_000;
/** Work of other threads, and what is put off to the next turn of the event loop. */
const UNDER_WAY = /^(FSREQ|FILEHANDLECLOSE|classic_level|Immediate$)/;

/** One process of a node, from its start to its end or crash. Nothing of it runs after that. */
export interface Life {
  readonly clock: NodeClock;
  ended: boolean;
  /** It stands still until then, by the agenda. */
  asleepUntilMs: number;
}

const lives = new AsyncLocalStorage<Life>();
const real = {
  now: Date.now,
  setTimeout: globalThis.setTimeout,
  clearTimeout: globalThis.clearTimeout,
  setInterval: globalThis.setInterval,
  clearInterval: globalThis.clearInterval,
  setImmediate: globalThis.setImmediate,
  pause: timersPromises.setTimeout,
};
let runs = 0;

export class VirtualTime {
  readonly #agenda: Agenda;
  readonly #underWay = new Set<number>();
  readonly #hook = createHook({
    init: (id, type) => {
      if (!this.#looking && UNDER_WAY.test(type)) this.#underWay.add(id);
    },
    after: (id) => this.#done(id),
    destroy: (id) => this.#done(id),
  });
  readonly #monotonicMs = ++runs * APART_MS;
  #looking = false;
  #idle: (() => void) | undefined;
  #touched = true;
  /** Which one ran since everything was settled: one at a time, so that chance never decides whose file is written first. */
  #entered: Life | undefined;

  constructor(agenda: Agenda) {
    this.#agenda = agenda;
  }

  /** Until it is called again, the clocks and timers of lives are those of the agenda. */
  install(): () => void {
    const nowMs = (): number => this.#agenda.nowMs;
    Date.now = () => {
      const life = lives.getStore();
      return life === undefined ? real.now() : DAWN_MS + life.clock.nowMs;
    };
    Object.defineProperty(performance, 'now', {
      configurable: true,
      value: () => this.#monotonicMs + nowMs(),
    });
    const cancel = (timer: unknown): boolean => timer instanceof VirtualTimer && timer.cancel();
    Object.assign(globalThis, {
      setTimeout: (run: () => void, ms = 0, ...rest: []) =>
        lives.getStore() === undefined ? real.setTimeout(run, ms, ...rest) : this.#timer(run, ms),
      setInterval: (run: () => void, ms = 0, ...rest: []) =>
        lives.getStore() === undefined ? real.setInterval(run, ms, ...rest) : this.#timer(run, ms, ms),
      clearTimeout: (timer: NodeJS.Timeout) => cancel(timer) || real.clearTimeout(timer),
      clearInterval: (timer: NodeJS.Timeout) => cancel(timer) || real.clearInterval(timer),
    });
    Object.assign(timersPromises, { setTimeout: this.#pause });
    syncBuiltinESMExports();
    this.#hook.enable();
    return () => {
      this.#hook.disable();
      Date.now = real.now;
      Reflect.deleteProperty(performance, 'now');
      const { setTimeout, setInterval, clearTimeout, clearInterval } = real;
      Object.assign(globalThis, { setTimeout, setInterval, clearTimeout, clearInterval });
      Object.assign(timersPromises, { setTimeout: real.pause });
      syncBuiltinESMExports();
    };
  }

  /** Runs something as part of a life, as soon as that is awake; not at all when it is over. */
  enter(life: Life, run: () => void): void {
    if (life.ended) return;
    const isAsleep = this.#agenda.nowMs < life.asleepUntilMs;
    if (isAsleep || (this.#entered !== undefined && this.#entered !== life)) {
      this.#agenda.at(isAsleep ? life.asleepUntilMs : this.#agenda.nowMs, () => this.enter(life, run));
      return;
    }
    this.#entered = life;
    this.#touched = true;
    lives.run(life, run);
  }

  /** Runs something that is part of no life: clocks and timers are the real ones. */
  outside<T>(run: () => T): T {
    this.#touched = true;
    return lives.exit(run);
  }

  /** Resolves when everything waits for the agenda. */
  async settle(): Promise<void> {
    if (!this.#touched) return;
    this.#touched = false;
    do {
      if (this.#underWay.size > 0) await this.#untilIdle();
      this.#looking = true;
      const turn = new Promise((resolve) => real.setImmediate(resolve));
      this.#looking = false;
      await turn;
    } while (this.#underWay.size > 0);
    this.#entered = undefined;
  }

  #untilIdle(): Promise<void> {
    return new Promise((resolve, reject) => {
      const stuck = real.setTimeout(() => reject(new Error('something never ends')), STUCK_MS);
      this.#idle = () => {
        real.clearTimeout(stuck);
        resolve();
      };
    });
  }

  #done(id: number): void {
    if (!this.#underWay.delete(id) || this.#underWay.size > 0) return;
    this.#idle?.();
    this.#idle = undefined;
  }

  #timer(run: () => void, ms: number, everyMs?: number): VirtualTimer {
    const life = lives.getStore() as Life;
    const timer = new VirtualTimer();
    const set = (afterMs: number): void =>
      this.#agenda.at(this.#agenda.nowMs + Math.max(1, afterMs), () => {
        if (timer.cancelled) return;
        this.enter(life, () => {
          if (timer.cancelled) return;
          run();
          if (everyMs !== undefined) set(everyMs);
        });
      });
    set(ms);
    return timer;
  }

  readonly #pause: typeof timersPromises.setTimeout = (ms, value, options) =>
    lives.getStore() === undefined
      ? real.pause(ms, value, options)
      : new Promise((resolve, reject) => {
          const signal = options?.signal;
          const abort = (): void => {
            timer.cancel();
            reject(new DOMException('The operation was aborted', 'AbortError'));
          };
          const timer = this.#timer(() => {
            signal?.removeEventListener('abort', abort);
            resolve(value as never);
          }, ms ?? 1);
          if (signal?.aborted === true) abort();
          else signal?.addEventListener('abort', abort, { once: true });
        });
}

/** As much of a timer as is used of one. */
class VirtualTimer {
  cancelled = false;

  cancel(): boolean {
    this.cancelled = true;
    return true;
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }
}
