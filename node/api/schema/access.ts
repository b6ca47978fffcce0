import { type Static, Type as T } from 'typebox';
import { open, Time, text } from './basics.ts';

/** Who may do what. */

export const Role = T.Union([T.Literal('viewer'), T.Literal('operator'), T.Literal('owner')]);
export const Session = T.Object({ role: Role }, open);
export const Token = T.Object(
  {
    id: T.String(),
    name: T.String(),
    role: Role,
    local: T.Boolean({
      description: 'the one in the data folder, for the command line; revoked, another is made',
    }),
    createdAt: Time,
  },
  open,
);
export const NewToken = T.Object({ name: T.String({ minLength: 1, maxLength: 60 }), role: Role }, open);
export const CreatedToken = T.Object({ ...Token.properties, token: text('shown once') }, open);

export type RoleName = Static<typeof Role>;
