import { formatBytes as bytes } from '../../ledger/bytes.ts';
import { formatAcorns } from '../../ledger/grains.ts';

/** How the command line shows things: tables and bars for people, JSON for programs. */

export { bytes };

export function acorns(grainsText: string): string {
  const amount = BigInt(grainsText);
  return `${amount < 0n ? '-' : ''}${formatAcorns(amount < 0n ? -amount : amount)} acorns`;
}

/** `1 transaction`, `2 transactions`. */
export function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

/** `name  value` lines, names padded to one width. */
export function fields(entries: readonly (readonly [string, string])[]): string {
  const width = Math.max(...entries.map(([name]) => name.length));
  return entries.map(([name, value]) => `${name.padEnd(width)}  ${value}`).join('\n');
}

/** Columns under headings; `empty` where there are no rows. */
export function table(
  headings: readonly string[],
  rows: readonly (readonly string[])[],
  empty: string,
): string {
  if (rows.length === 0) return empty;
  const widths = headings.map((heading, i) =>
    Math.max(heading.length, ...rows.map((row) => row[i]?.length ?? 0)),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, i) => cell.padEnd(widths[i] as number))
      .join('  ')
      .trimEnd();
  return [line(headings), ...rows.map(line)].join('\n');
}

/** A long id, short enough for a column. */
export function short(id: string): string {
  return id.length <= 20 ? id : `${id.slice(0, 12)}…${id.slice(-4)}`;
}

/** A progress bar on a terminal; nothing elsewhere. */
export class ProgressBar {
  readonly #label: string;
  readonly #show: (count: number) => string;
  readonly #shown = process.stderr.isTTY === true;
  #lastMs = 0;

  /** `show` says how an amount done is written; bytes unless told. */
  constructor(label: string, show: (count: number) => string = bytes) {
    this.#label = label;
    this.#show = show;
  }

  update(done: number, total: number, note = ''): void {
    if (!this.#shown || (Date.now() - this.#lastMs < 80 && done < total)) return;
    this.#lastMs = Date.now();
    const part = total === 0 ? 1 : Math.min(1, done / total);
    const filled = Math.round(part * 30);
    process.stderr.write(
      `\r\x1b[2K${this.#label} [${'█'.repeat(filled)}${'·'.repeat(30 - filled)}] ${String(Math.floor(part * 100)).padStart(3)} %  ${this.#show(done)} of ${this.#show(total)} ${note}`,
    );
  }

  end(): void {
    if (this.#shown) process.stderr.write('\r\x1b[2K');
  }
}
