import { LedgerError } from '../../ledger/errors.ts';
import type { Grains } from '../../ledger/grains.ts';
import { parseAcorns } from '../../ledger/grains.ts';
import { type AccountId, parseAccountAddress } from '../../ledger/ids.ts';
import { NodeError } from '../errors.ts';

/** What people type, read strictly. All throw NodeError `bad-configuration`, which ends a verb with exit code 2. */

function refuse(expected: string, text: string): never {
  throw new NodeError('bad-configuration', `expected ${expected}, got "${text}"`);
}

/** A ledger's refusal of what was typed is a matter of usage. */
function typed<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof LedgerError) throw new NodeError('bad-configuration', error.message);
    throw error;
  }
}

/** `12.5` in grains. */
export function amount(text: string): Grains {
  return typed(() => parseAcorns(text));
}

/** An amount that moves something: more than nothing. */
export function payment(text: string): Grains {
  const value = amount(text);
  return value > 0n ? value : refuse('an amount of more than 0 acorns', text);
}

export function account(text: string): AccountId {
  return typed(() => parseAccountAddress(text));
}

/** The id of a transaction, block or contract. */
export function hashId(text: string, what: string): string {
  return /^[0-9a-f]{64}$/i.test(text) ? text : refuse(`the 64 hex digits of ${what}`, text);
}

/** A block by its id or its height. */
export function blockReference(text: string): string {
  return /^\d{1,15}$/.test(text) ? text : hashId(text, "a block's id, or a height");
}

export function wholeNumber(text: string, what: string, least: number, most: number): number {
  const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  return value >= least && value <= most
    ? value
    : refuse(`a whole number from ${least} to ${most} for ${what}`, text);
}

export function oneOf<Choice extends string>(text: string, what: string, choices: readonly Choice[]): Choice {
  const list = `${choices.slice(0, -1).join(', ')} or ${choices.at(-1)}`;
  return choices.find((choice) => choice === text) ?? refuse(`${list} for ${what}`, text);
}

/** A memo that the ledger takes: up to 64 bytes of UTF-8. */
export function memo(text: string): string {
  return Buffer.byteLength(text) <= 64 ? text : refuse('a memo of at most 64 bytes', text);
}

/** Bytes of `500G`, `1.5T`, `1048576`; at least a fragment's MiB. */
export function size(text: string): number {
  const match = /^(\d{1,15}(?:\.\d{1,3})?)\s*([KMGT]?)(?:i?B)?$/i.exec(text.trim());
  const exponent = ['', 'K', 'M', 'G', 'T'].indexOf((match?.[2] ?? '').toUpperCase());
  const bytes = match === null ? 0 : Math.floor(Number(match[1]) * 1_024 ** exponent);
  return bytes >= 1_048_576 && Number.isSafeInteger(bytes)
    ? bytes
    : refuse('a size of at least 1M, such as 500G or 1.5T', text);
}

/** `0-1023`, `4096-` or `-512` (the last bytes) as RFC 9110 writes it after `bytes=`. */
export function byteRange(text: string): string {
  const [, from = '', last = ''] = /^(\d{0,15})-(\d{0,15})$/.exec(text) ?? [];
  const isRange = from === '' ? last !== '' : last === '' || Number(last) >= Number(from);
  return isRange ? text : refuse('a range such as 0-1023, 4096- or -512 (the last 512)', text);
}

/** `2+3`: data and parity. */
export function redundancy(text: string): string {
  const [, data, parity] = /^([1-9]\d?)\+([1-9]\d?)$/.exec(text) ?? [];
  return data !== undefined && Number(data) + Number(parity) <= 60
    ? text
    : refuse('a redundancy such as 2+3: data and parity at least 1, together at most 60', text);
}
