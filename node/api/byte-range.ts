import type { IncomingHttpHeaders } from 'node:http';

/** Conditional and partial requests for content that its ETag names exactly (RFC 9110, sections 13 and 14). */

/** [from, to) within the content. */
export type ByteRange = readonly [from: number, to: number] | 'unsatisfiable' | 'whole';

/** What of `size` bytes is asked for: the whole without a range that is understood, or where If-Range names other content. */
export function rangeOf(headers: IncomingHttpHeaders, size: number, etag: string): ByteRange {
  const condition = headers['if-range'];
  // A date is no strong validator here and never matches (section 13.1.5).
  if (condition !== undefined && condition !== etag) return 'whole';
  return parseRange(headers.range, size);
}

/** `bytes=a-b`, `bytes=a-` or `bytes=-n`; several ranges are answered with the whole. */
export function parseRange(header: string | undefined, size: number): ByteRange {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header ?? '');
  if (match === null || (match[1] === '' && match[2] === '')) return 'whole';
  if (match[1] === '') {
    const length = Math.min(size, Number(match[2]));
    return length === 0 ? 'unsatisfiable' : [size - length, size];
  }
  const from = Number(match[1]);
  const last = match[2] === '' ? size - 1 : Number(match[2]);
  // The last before the first is no range at all and is ignored (section 14.1.1).
  if (last < from && match[2] !== '') return 'whole';
  return from >= size ? 'unsatisfiable' : [from, Math.min(size, last + 1)];
}

/** Whether If-None-Match names what is there (weak comparison, section 13.1.2). */
export function isUnchanged(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false;
  return header.trim() === '*' || header.split(',').some((one) => one.trim().replace(/^W\//, '') === etag);
}
