import type { IncomingMessage, ServerResponse } from 'node:http';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyBaseLogger, FastifyInstance, RawServerDefault } from 'fastify';
import type { Feed } from './feed.ts';
import type { RoleName } from './schema.ts';

/** The server as routes see it: typed by its schemas, with what the console adds to requests and routes. */

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Who may call the route; everybody where it is absent. */
    role?: RoleName;
    /** Spends: an `Idempotency-Key` makes a repetition harmless. */
    idempotent?: boolean;
  }
  interface FastifyRequest {
    role: RoleName | undefined;
    sessionSecret: string | undefined;
  }
  interface FastifyInstance {
    feed: Feed;
  }
}

export type Console = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>;
