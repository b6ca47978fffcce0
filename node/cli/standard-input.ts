import { NodeError } from '../errors.ts';

/** What a person types, or a program pipes in, a line at a time; on a terminal a line can be typed unseen. */

/** Longest line that is read. */
const LINE_BYTES_MAX = 4_096;
const INTERRUPT = '\x03';
const END = '\x04';
const ERASE = new Set(['\x7f', '\b']);

export class StandardInput {
  readonly #input = process.stdin;
  #rest = '';
  #ended = false;

  get isTerminal(): boolean {
    return this.#input.isTTY === true;
  }

  /**
   * The next line without its end; `undefined` when there is none. On a terminal `question` is asked first (on standard
   * error, so that pipes stay clean), and nothing is echoed if `hidden`. Throws NodeError `bad-configuration` for a line
   * that is too long.
   */
  async line(question: string, hidden = false): Promise<string | undefined> {
    const unseen = hidden && this.isTerminal;
    // Before the question stands there: who answers at once must not be echoed either.
    if (unseen) this.#input.setRawMode(true);
    try {
      if (this.isTerminal) process.stderr.write(question);
      return await this.#read(unseen);
    } finally {
      this.#input.pause();
      if (unseen) {
        this.#input.setRawMode(false);
        process.stderr.write('\n');
      }
    }
  }

  /** `keys`: what arrives are key strokes, among them those that correct and end. */
  async #read(keys: boolean): Promise<string | undefined> {
    let line = '';
    for (;;) {
      for (const [index, char] of [...this.#rest].entries()) {
        if (char === '\n' || char === '\r') {
          this.#rest = [...this.#rest].slice(index + 1).join('');
          return line;
        }
        if (keys && char === INTERRUPT) {
          this.#input.setRawMode(false);
          process.exit(130);
        }
        if (keys && char === END) {
          this.#rest = '';
          return line === '' ? undefined : line;
        }
        if (keys && ERASE.has(char)) line = [...line].slice(0, -1).join('');
        else line += char;
      }
      this.#rest = '';
      if (line.length > LINE_BYTES_MAX)
        throw new NodeError('bad-configuration', `a line of at most ${LINE_BYTES_MAX} characters expected`);
      if (this.#ended) return line === '' ? undefined : line;
      this.#rest = await this.#chunk();
    }
  }

  #chunk(): Promise<string> {
    const input = this.#input;
    input.setEncoding('utf8');
    return new Promise((resolve, reject) => {
      const done = (): void => {
        input.off('data', take).off('end', end).off('error', fail);
      };
      const take = (chunk: string): void => {
        done();
        input.pause();
        resolve(chunk);
      };
      const end = (): void => {
        done();
        this.#ended = true;
        resolve('');
      };
      const fail = (error: Error): void => {
        done();
        reject(error);
      };
      if (input.readableEnded) return end();
      input.on('data', take).on('end', end).on('error', fail);
      input.resume();
    });
  }
}

/** One for the process: what one question leaves unread belongs to the next. */
export const standardInput = new StandardInput();
