/** Whether the other end of a connection is there, takes what it is sent and comes to the end of what it says. */

/** For so long nothing may come, or nothing be taken of what is to go. */
const SILENCE_MS = 25_000;
/** One frame, however slow the line is: some 20 KiB a second for the largest. */
const FRAME_MS = 60_000;

/** All times in ms, on one clock that only goes forward. */
export class Liveness {
  #heardMs: number;
  #tookMs: number;
  #takenBytes = 0;
  /** When the frame began that has not ended. */
  #frameMs: number | undefined;

  constructor(nowMs: number) {
    this.#heardMs = nowMs;
    this.#tookMs = nowMs;
  }

  /** Something came: perhaps the end of frames, perhaps the beginning of another. */
  heard(nowMs: number, ended: boolean, begun: boolean): void {
    this.#heardMs = nowMs;
    if (ended || !begun) this.#frameMs = undefined;
    if (begun) this.#frameMs ??= nowMs;
  }

  /** Whether to give the connection up. `takenBytes` were taken of all that was sent, `unsentBytes` wait. */
  over(nowMs: number, takenBytes: number, unsentBytes: number): boolean {
    if (takenBytes !== this.#takenBytes || unsentBytes === 0) this.#tookMs = nowMs;
    this.#takenBytes = takenBytes;
    return (
      nowMs - this.#heardMs > SILENCE_MS ||
      nowMs - this.#tookMs > SILENCE_MS ||
      (this.#frameMs !== undefined && nowMs - this.#frameMs > FRAME_MS)
    );
  }
}
