import { Type as T, type TSchema } from 'typebox';

/** What schemas are made of: one schema serves checking, the OpenAPI document and the TypeScript types. */

export const text = (description: string) => T.String({ description });
export const count = (description: string) => T.Integer({ minimum: 0, description });
export const nullable = <S extends TSchema>(schema: S) => T.Union([schema, T.Null()]);
export const open = { additionalProperties: false } as const;

export const GrainsText = T.String({ pattern: '^-?[0-9]+$', description: 'an amount in grains, decimal' });
export const Time = T.String({ description: 'ISO 8601 time, UTC' });
export const AccountAddress = text('account, acorn1…');
export const NodeAddress = text('node, node1…');
export const HexHash = text('64 hex digits');

export const Problem = T.Object(
  {
    type: T.String(),
    title: T.String(),
    status: T.Integer(),
    detail: T.String({ description: 'what was expected, and what to do' }),
    code: T.String({ description: 'stable, for programs' }),
  },
  { description: 'RFC 9457 problem details' },
);

export const page = <S extends TSchema>(item: S) =>
  T.Object(
    { items: T.Array(item), nextCursor: nullable(text('give it as ?cursor= for the next page')) },
    open,
  );

export const PageQuery = T.Object({
  cursor: T.Optional(T.String({ maxLength: 4_000, description: 'nextCursor of the page before' })),
  limit: T.Optional(T.Integer({ minimum: 1, maximum: 200, default: 50 })),
});

export const Sent = T.Object(
  { transactionId: HexHash, height: T.Integer({ description: 'of the final block' }) },
  open,
);

export const hex = (bytesMin: number, bytesMax: number, description: string) =>
  T.String({
    pattern: '^[0-9a-f]+$',
    minLength: 2 * bytesMin,
    maxLength: 2 * bytesMax,
    description: `${description}, hex`,
  });
