/** How figures read. */

export { formatBytes as bytes } from '../ledger/bytes.ts';

const GRAINS = 1_000_000_000n;

/** Acorns with as many decimals as matter. */
export function acorns(grainsText: string | bigint): string {
  const amount = BigInt(grainsText);
  const absolute = amount < 0n ? -amount : amount;
  const sign = amount < 0n ? '−' : '';
  const whole = absolute / GRAINS;
  const rest = (absolute % GRAINS).toString().padStart(9, '0');
  const decimals =
    whole >= 100n ? 2 : whole >= 1n ? 3 : absolute === 0n ? 0 : Math.min(9, rest.search(/[1-9]/) + 3);
  const shown = rest.slice(0, decimals).replace(/0+$/, '');
  return `${sign}${whole.toLocaleString('en')}${shown === '' ? '' : `.${shown}`}`;
}

/** Acorns with every decimal and no separators, as a field holds them. */
export function plainAcorns(grains: string): string {
  const amount = BigInt(grains);
  const decimals = (amount % GRAINS).toString().padStart(9, '0').replace(/0+$/, '');
  return `${amount / GRAINS}${decimals === '' ? '' : `.${decimals}`}`;
}

export function grainsText(grains: string | bigint): string {
  return `${BigInt(grains).toLocaleString('en')} grains`;
}

export function short(id: string): string {
  return id.length <= 16 ? id : `${id.slice(0, 9)}…${id.slice(-4)}`;
}

/** A sentence with the ids in it short. */
export function withShortIds(text: string): string {
  return text.replaceAll(/\b(?:node1|acorn1)[0-9a-z]{20,}|\b[0-9a-f]{64}\b/g, short);
}

export function duration(ms: number): string {
  const seconds = Math.floor(ms / 1_000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} days`;
}

export function clock(iso: string): string {
  return new Date(iso).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', second: '2-digit' });
}

export function dateTime(iso: string): string {
  return new Date(iso).toLocaleString([], { dateStyle: 'medium', timeStyle: 'short' });
}

/** The time of today, else the day with it: as much as tells moments in a list apart. */
export function when(iso: string, now = new Date()): string {
  const at = new Date(iso);
  if (at.toDateString() === now.toDateString()) return clock(iso);
  return at.toLocaleString([], {
    ...(at.getFullYear() === now.getFullYear() ? {} : { year: 'numeric' }),
    month: 'short',
    day: 'numeric',
    hour: '2-digit',
    minute: '2-digit',
  });
}

/** Milliseconds of a round trip. */
export function latency(ms: number): string {
  return ms < 1 ? 'under 1 ms' : `${Math.round(ms)} ms`;
}

/** Acorns that a person typed, in grains; `undefined` for anything else. */
export function parseAcorns(text: string): bigint | undefined {
  const match = /^(\d{1,10})(?:\.(\d{1,9}))?$/.exec(text.trim());
  return match === null
    ? undefined
    : BigInt(match[1] as string) * GRAINS + BigInt((match[2] ?? '').padEnd(9, '0'));
}
